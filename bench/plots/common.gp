# Settings of all figures. The caller has set `figure`, `data` (the folder that data.py wrote to) and `svg`.
load sprintf("%s/%s.vars", data, figure)

columns = 2
rows = (words(modes) + columns - 1) / columns
set terminal svg size 900, 60 + 330 * rows dynamic enhanced background "#ffffff" font "sans-serif,12"
set output svg

# Colours that colour-blind readers can tell apart (Okabe and Ito).
colour(system) = system eq "faultline" ? "#0072b2" : system eq "swap" ? "#d55e00" : system eq "zram" ? "#009e73" : \
                 system eq "mmap" ? "#cc79a7" : "#666666"
shape(system) = system eq "faultline" ? 7 : system eq "swap" ? 5 : system eq "zram" ? 9 : system eq "mmap" ? 11 : 13
width(system) = system eq "faultline" ? 2.5 : 1.5
values(mode, system) = sprintf("%s/%s_%s_%s.dat", data, figure, mode, system)

set key outside bottom center horizontal
set border 3 linecolor "#444444"
set tics nomirror
set grid linecolor "#dddddd"
