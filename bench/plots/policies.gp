# Hard faults of each policy. The caller has set `data`, `svg` and `policies`.
set terminal svg size 900, 420 dynamic background "#ffffff" font "sans-serif,12"
set output svg
set datafile separator "\t"
set style data histograms
set style histogram clustered gap 1.5
set style fill solid 0.9 noborder
set key outside bottom center horizontal noenhanced
set border 3 linecolor "#444444"
set tics nomirror
set xtics rotate by -35 noenhanced
set grid ytics linecolor "#dddddd"
set ylabel "hard faults per 100 references"
set yrange [0:*]
colour(i) = word("#666666 #009e73 #d55e00 #0072b2 #cc79a7 #e69f00 #56b4e9", 1 + (i - 1) % 7)
plot for [i = 1:words(policies)] data using (column(i + 1)):xtic(1) linecolor rgb colour(i) title word(policies, i)
