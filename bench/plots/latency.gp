# Latency of a touch, hits and misses together: the latency that all but a fraction of the touches stay below.
figure = "latency"
load folder . "/common.gp"

set logscale xy
set xrange [1:10000]
set xtics ("p0" 1, "p50" 2, "p90" 10, "p99" 100, "p99.9" 1000, "p99.99" 10000)
set format y "%.0s %cs"
# The data are microseconds. Converted to seconds, so that gnuplot chooses the prefix of the unit.
set multiplot layout rows, columns title "Latency of one touch: ".conditions
do for [i = 1:words(modes)] {
    set title word(titles, i)
    plot for [system in systems] values(word(modes, i), system) using 1:($2 * 1e-6) with lines \
        linecolor rgb colour(system) linewidth width(system) title system
}
unset multiplot
