# What .ci/steps/coverage prints, from two tables (see there): lines and branches. `explained` is a third one, of the sides of
# branches that no test reaches: file, condition, which side, why.

function note_line(file, line, times) {
  if (!(file in lines)) files[++file_count] = file
  lines[file]++; all_lines++
  if (times) { lines_reached[file]++; all_lines_reached++ }
  else unreached[file] = unreached[file] " " line
}

function note_side(file, times, condition, side,    place) {
  sides[file]++; all_sides++
  if (times) { sides_reached[file]++; all_sides_reached++; return }
  place = sprintf("  %s: `%s` is never %s", file ":" $2, condition, side)
  if ((file, condition, side) in why) {
    needed[file, condition, side] = 1
    known = known place ": " why[file, condition, side] "\n"
  } else unknown = unknown place "\n"
}

# The text of a condition, or the first line of it.
function text_of(file, line, from, last_line, to,    text, i) {
  for (i = 0; i < line; i++) getline text < ("raft-core/" file)
  close("raft-core/" file)
  return last_line == line ? substr(text, from, to - from) : substr(text, from)
}

function share(reached, all) {
  return all ? sprintf("%6.1f %% %5d/%-5d", 100 * reached / all, reached, all) : sprintf("%20s", "")
}

BEGIN { while ((getline < explained) > 0) if (NF == 4 && !/^#/) why[$1, $2, $3] = $4 }

FNR == 1 { table++ }
table == 1 { note_line($1, $2, $3) }
table == 2 {
  condition = text_of($1, $2, $3, $4, $5)
  note_side($1, $6, condition, "true")
  note_side($1, $7, condition, "false")
}

END {
  printf "\n%-20s %20s %20s  %s\n", "", "lines", "branches", "lines that no test reaches"
  for (i = 1; i <= file_count; i++) {
    file = files[i]
    print sprintf("%-20s", file), share(lines_reached[file], lines[file]), share(sides_reached[file], sides[file]) unreached[file]
  }
  print sprintf("%-20s", "all"), share(all_lines_reached, all_lines), share(all_sides_reached, all_sides)
  for (key in why) if (!(key in needed)) {
    split(key, k, SUBSEP)
    stale = stale sprintf("  %s: `%s` is never %s\n", k[1], k[2], k[3])
  }
  if (known) printf "\nSides of branches that no test reaches, and why:\n%s", known
  if (unknown) printf "\nSides of branches that no test reaches, and %s does not say why:\n%s", explained, unknown
  if (stale) printf "\nExplained in %s, but reached or gone:\n%s", explained, stale
  exit (unknown || stale) ? 1 : 0
}
