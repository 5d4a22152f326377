# Throughput of all threads together against the number of threads. Whiskers: the slowest and the fastest round.
figure = "threads"
load folder . "/common.gp"

set logscale x 2
set logscale y
set xrange [0.9:36]
set format y "%.0s%c"
set xlabel "threads" offset 0, 0.4
set ylabel "touches per second"
set multiplot layout rows, columns title "Throughput and threads: ".conditions
do for [i = 1:words(modes)] {
    set title word(titles, i)
    plot for [system in systems] values(word(modes, i), system) using 1:2:3:4 with yerrorlines \
        linecolor rgb colour(system) linewidth width(system) pointtype shape(system) pointsize 0.6 title system
}
unset multiplot
