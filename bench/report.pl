# What bench/run prints: medians, ratios and spreads of the figures that it has collected, the table of
# targets, and the whole as text, Markdown or JSON. Part of that program, whose variables these are:
#
#     %figures          workload, case, implementation -> key -> one number a round
#     @cases            [workload, case] in the order they came
#     @implementations  who ran, gort first

use strict;
use warnings;
use List::Util qw(max min any);

our (%option, %figures, %missing, %beside_targets, @cases, @implementations, @failures, @disagreements,
     @load, $rounds, $minutes, $interrupted, $machine, $versions, $date);

# --- figures -----------------------------------------------------------------------------------------

sub median {
  my @sorted = sort { $a <=> $b } @_;
  return @sorted % 2 ? $sorted[$#sorted / 2] : ($sorted[@sorted / 2 - 1] + $sorted[@sorted / 2]) / 2;
}

# All rounds of one figure; a key with a slash is a quotient, round by round.
sub values_of {
  my ($workload, $case, $impl, $key) = @_;
  my $of = $figures{$workload}{$case}{$impl} or return ();
  if ($key =~ m{^(\w+)/(\w+)$}) {
    my ($above, $below) = ($of->{$1}, $of->{$2});
    return map { $below->[$_] ? $above->[$_] / $below->[$_] : 0 } 0 .. $#$above;
  }
  return grep { $_ >= 0 } @{$of->{$key} || []};  # -1: the implementation does not say
}

sub figure {  # the median, or nothing
  my @values = values_of(@_);
  return @values ? median(@values) : undef;
}

sub ratio {  # gort's median over the peer's; the least round's with $least
  my ($workload, $case, $peer, $key, $least) = @_;
  my @ours = values_of($workload, $case, 'gort', $key);
  my @theirs = values_of($workload, $case, $peer, $key);
  return undef unless @ours && @theirs;
  my ($above, $below) = $least ? (min(@ours), min(@theirs)) : (median(@ours), median(@theirs));
  return $below > 0 ? $above / $below : undef;
}

# The ratio of wall times, and of CPU times in brackets, for the table of targets.
sub wall_and_cpu {
  my ($workload, $case, $peer) = @_;
  return short(ratio($workload, $case, $peer, 'ns')) . ' ('
    . short(ratio($workload, $case, $peer, 'cpu_ns')) . ')';
}

sub short {  # three significant digits
  my ($x) = @_;
  return '-' unless defined $x;
  return sprintf('%.0f', $x) if abs($x) >= 100;
  return sprintf('%.1f', $x) if abs($x) >= 10;
  return sprintf('%.2f', $x);
}

sub spread {  # median (least..most), divided by $unit
  my ($unit, @values) = @_;
  return '-' unless @values;
  @values = map { $_ / $unit } @values;
  return short(median(@values)) . ' (' . short(min(@values)) . '..' . short(max(@values)) . ')';
}

# --- the report --------------------------------------------------------------------------------------

sub table {
  my ($header, @rows) = @_;
  if ($option{markdown}) {
    print '| ', join(' | ', @$header), " |\n|", '---|' x @$header, "\n";
    print '| ', join(' | ', @$_), " |\n" for @rows;
    print "\n";
    return;
  }
  my @width = map { my $c = $_; max(map { length $_->[$c] } $header, @rows) } 0 .. $#$header;
  for my $row ($header, @rows) {
    (my $line = join('  ', map { sprintf('%-*s', $width[$_], $row->[$_]) } 0 .. $#$row)) =~ s/\s+$//;
    print "$line\n";
  }
  print "\n";
}

sub heading { print $option{markdown} ? "## $_[0]\n\n" : "== $_[0] ==\n" }
sub paragraph { print "$_[0]\n" . ($option{markdown} ? "\n" : '') }

sub cases_of { my ($workload) = @_; return map { $_->[1] } grep { $_->[0] eq $workload } @cases }

sub who_ran {
  my ($workload) = @_;
  return grep { my $impl = $_; any { exists $figures{$workload}{$_}{$impl} } cases_of($workload) }
    @implementations;
}

# One row a case, one column an implementation.
sub by_implementation {
  my ($workload, $key, $unit) = @_;
  my @who = who_ran($workload);
  table([$workload, @who],
        map { my $case = $_;
              [$case, map { spread($unit, values_of($workload, $case, $_, $key)) } @who] }
          cases_of($workload));
}

# One row an implementation, one column a figure; for workloads with one case.
sub by_figure {
  my ($workload, @columns) = @_;
  for my $case (cases_of($workload)) {
    table(["$workload $case", map { $_->[0] } @columns],
          map { my $impl = $_;
                [$impl, map { spread($_->[2], values_of($workload, $case, $impl, $_->[1])) } @columns] }
            who_ran($workload));
  }
}

sub ratios {
  my ($workload) = @_;
  my @peers = grep { $_ ne 'gort' } who_ran($workload);
  return unless @peers && grep { $_ eq 'gort' } who_ran($workload);
  table(["gort / peer, $workload", @peers],
        map { my $case = $_;
              [$case, map { my $peer = $_;
                            join(' ', map { short($_) } ratio($workload, $case, $peer, 'ns'),
                                 ratio($workload, $case, $peer, 'ns', 1),
                                 ratio($workload, $case, $peer, 'cpu_ns')) } @peers] }
          cases_of($workload));
}

# What DESIGN promises: [what, measured, first target, goal, verdict]. `low`: smaller is better.
sub verdict {
  my ($value, $first, $goal, $low, $reached_also) = @_;
  return 'not measured' unless defined $value;
  my $ok = sub { $low ? $value <= $_[0] : $value >= $_[0] };
  return 'goal met' if defined $goal && $ok->($goal) && (!defined $reached_also || $reached_also);
  return defined $goal ? 'first met, goal missed' : 'met' if defined $first && $ok->($first);
  return 'MISSED';
}

sub targets {
  my @rows;
  for my $case (cases_of('binary_trees')) {
    my $go = ratio('binary_trees', $case, 'go', 'ns');
    my $mi = ratio('binary_trees', $case, 'mimalloc', 'ns');
    push @rows, ["binary_trees $case, wall", wall_and_cpu('binary_trees', $case, 'go') . ' x Go, '
                   . wall_and_cpu('binary_trees', $case, 'mimalloc') . ' x mimalloc',
                 '0.35 x Go', '1.0 x mimalloc',
                 defined $mi && $mi <= 1 ? 'goal met' : verdict($go, 0.35, 0, 1)];
    my $rss = ratio('binary_trees', $case, 'go', 'rss_peak_kb');
    push @rows, ["binary_trees $case, peak resident size", short($rss) . ' x Go', '', '1.0 x Go',
                 verdict($rss, undef, 1, 1)];
  }
  for my $case (grep { m{/1$} } cases_of('ring')) {
    my $go = ratio('ring', $case, 'go', 'ns');
    (my $kind = $case) =~ s{/1$}{};
    push @rows, ["allocate and collect, $kind", wall_and_cpu('ring', $case, 'go') . ' x Go', '0.35 x Go', '0.2 x Go',
                 verdict($go, 0.35, 0.2, 1)];
  }
  for my $case (cases_of('scaling')) {
    my ($low, $gain, $high) = map { figure('scaling', $case, 'gort', "gain_p$_") } 25, 50, 75;
    next unless defined $gain;
    my ($kind, $threads) = split m{/}, $case;
    push @rows, ["the same on $threads threads, against 1, $kind",
                 sprintf('%s (%s..%s) x', map { short($_ / 1000) } $gain, $low, $high), '1.7 x', '1.95 x',
                 verdict($gain / 1000, 1.7, 1.95, 0)];
  }
  for my $case (cases_of('graph')) {
    my $ratio = ratio('graph', $case, 'go', 'ops/cpu_ns');
    push @rows, ["marking $case objects, objects/s a core", short($ratio) . ' x Go', '1.5 x Go',
                 '3 x Go', verdict($ratio, 1.5, 3, 0)];
  }
  for my $case (cases_of('pause')) {
    my ($ours, $go) = map { my $ns = figure('pause', $case, $_, 'pause_max_ns');
                            defined $ns ? $ns / 1e6 : undef } 'gort', 'go';
    push @rows, ["worst stop, $case", short($ours) . ' ms (Go: ' . short($go) . ')', '1 ms',
                 "0.2 ms, below Go's",
                 verdict($ours, 1, 0.2, 1, !defined $go || $ours < $go)];
    my $metadata = figure('pause', $case, 'gort', 'metadata_kb');
    next unless defined $metadata && $case =~ /^(\d+)MiB/;
    my $percent = 100 * $metadata / ($1 * 1024);
    push @rows, ["metadata beside $1 MiB of 64-byte objects", short($percent) . ' %', '4 %', '2 %',
                 verdict($percent, 4, 2, 1)];
  }
  my %map_rows;
  for my $case (cases_of('map')) {
    my ($kind, $keys, $operation) = split m{/}, $case;
    next if $beside_targets{$keys} || $operation =~ /^(?:delete|clear)$/;
    my $go = ratio('map', $case, 'go1.19', 'ns') // ratio('map', $case, 'go', 'ns');
    my $absl = ratio('map', $case, 'absl', 'ns');
    my $peer = defined ratio('map', $case, 'go1.19', 'ns') ? 'go1.19' : 'go';
    push @{$map_rows{"$kind $operation"}},
      [$keys, $go, $absl, map { wall_and_cpu('map', $case, $_) } $peer, 'absl'];
  }
  for my $name (sort keys %map_rows) {
    my @of = @{$map_rows{$name}};
    my @go = grep { defined } map { $_->[1] } @of;
    my @absl = grep { defined } map { $_->[2] } @of;
    my $beside_absl = $name =~ /hit|churn/;
    push @rows, ["map $name at " . join(', ', map { $_->[0] } @of),
                 join(', ', map { $_->[3] } @of) . " x Go's; "
                   . join(', ', map { $_->[4] } @of) . ' x absl',
                 "0.6 x Go's", "0.35 x Go's" . ($beside_absl ? ', 1.0 x absl' : ''),
                 verdict(@go ? max(@go) : undef, 0.6, 0.35, 1,
                         !$beside_absl || (@absl && max(@absl) <= 1))];
  }
  for my $case (cases_of('drop')) {
    my $left = figure('drop', $case, 'gort', 'rss_left_kb');
    next unless defined $left;
    my $time = ratio('drop', $case, 'go', 'ns');
    push @rows, ["$case dropped: resident size above the start",
                 short($left / 1024) . ' MiB, in ' . short($time) . " x Go's time", '16 MiB',
                 '4 MiB, faster than Go',
                 verdict($left / 1024, 16, 4, 1, !defined $time || $time < 1)];
  }
  return @rows;
}

sub report {
  heading('The run');
  paragraph($date . ($interrupted ? ', interrupted; at most ' : ', ') . "$rounds rounds in "
    . sprintf('%.0f', $minutes) . ' minutes' . ($option{quick} ? ', --quick' : '')
    . ". Load average $load[0] at the start, $load[1] at the end (1 would be one program at a time).");
  paragraph("Machine: $machine.");
  paragraph('Versions: ' . join(', ', map { "$_ ($versions->{$_})" }
                                  grep { $versions->{$_} } @implementations) . '.');
  paragraph("Left out: $_ ($missing{$_}).") for sort keys %missing;
  paragraph('Checksums: ' . (@disagreements ? 'DISAGREE' : 'all implementations agree in all '
                             . scalar(@cases) . ' cases') . '.');
  paragraph("Disagreement: $_.") for @disagreements;
  paragraph("Failed: $_.") for @failures;

  heading('Targets');
  paragraph('Ratios of median wall times, by which the verdict goes; in brackets those of CPU times, '
            . 'which a busy machine disturbs less. Of the two threads the median of each run, and, in '
            . 'brackets, its quarters.');
  table(['what', 'measured', 'first target', 'goal', 'verdict'], targets());

  my %done;
  for my $workload (grep { !$done{$_}++ } map { $_->[0] } @cases) {
    heading($workload);
    if ($workload eq 'drop') {
      paragraph('Median (least..most).');
      by_figure('drop', ['ms', 'ns', 1e6], ['CPU ms', 'cpu_ns', 1e6],
                ['resident, live, MiB', 'rss_live_kb', 1024], ['left above start, MiB', 'rss_left_kb', 1024]);
      next;
    }
    if ($workload eq 'scaling') {
      paragraph('Median (least..most) of the runs, of each the median of its rounds, and the quarters. '
                . 'Alike: how fast the slower processor was beside the other.');
      by_figure($workload, ['times one thread', 'gain_p50', 1000], ['lower quarter', 'gain_p25', 1000],
                ['upper quarter', 'gain_p75', 1000], ['alike', 'alike_p50', 1000]);
      next;
    }
    if ($workload eq 'map_latency') {
      paragraph("Median (least..most), of single inserts. Go's contain two looks at its clock, 30 ns; "
                . "the others read the processor's counter.");
      by_figure($workload, ['mean ns', 'ns/ops', 1], ['p50 ns', 'p50_ns', 1], ['p99 ns', 'p99_ns', 1],
                ['p99.9 us', 'p999_ns', 1000], ['p99.99 us', 'p9999_ns', 1000],
                ['longest ms', 'max_ns', 1e6]);
      next;
    }
    if ($workload eq 'pause' || $workload eq 'window') {
      my ($each, $key) = $workload eq 'pause' ? qw(allocations alloc) : qw(steps push);
      paragraph('Median (least..most). Stops as each runtime counts them, all stops of a collection '
                . "added up; single $each as the thread that makes them sees them.");
      by_figure($workload, ['wall s', 'ns', 1e9], ['collections', 'collections', 1],
                $workload eq 'pause' ? (['stop p50 ms', 'pause_p50_ns', 1e6],
                                        ['p90 ms', 'pause_p90_ns', 1e6]) : (),
                ['worst stop ms', 'pause_max_ns', 1e6], ['p50 ns', "${key}_p50_ns", 1],
                ['p99 ns', "${key}_p99_ns", 1], ['p99.9 us', "${key}_p999_ns", 1000],
                ['p99.99 us', "${key}_p9999_ns", 1000], ['longest ms', "${key}_max_ns", 1e6]);
    } else {
      paragraph('Wall ns an operation, median (least..most):');
      by_implementation($workload, 'ns/ops', 1);
    }
    paragraph('CPU ns an operation, all threads, median (least..most):');
    by_implementation($workload, 'cpu_ns/ops', 1);
    paragraph('Ratios: of median wall, of least wall, of median CPU time:');
    ratios($workload);
    next if $workload eq 'map';
    if ($workload eq 'growth') {
      paragraph('Worst stop, ms, median (least..most):');
      by_implementation($workload, 'pause_max_ns', 1e6);
    }
    paragraph('Peak resident size, MiB, median (least..most):');
    by_implementation($workload, 'rss_peak_kb', 1024);
  }
}

sub json {
  my $text = sub { my ($s) = @_; $s =~ s/([\\"])/\\$1/g; return "\"$s\"" };
  my @results;
  for my $entry (@cases) {
    my ($workload, $case) = @$entry;
    for my $impl (grep { $figures{$workload}{$case}{$_} } @implementations) {
      my $of = $figures{$workload}{$case}{$impl};
      push @results, sprintf('{"workload":"%s","case":"%s","impl":"%s",%s}', $workload, $case, $impl,
        join(',', map { "\"$_\":[" . join(',', @{$of->{$_}}) . ']' } sort keys %$of));
    }
  }
  my @targets = map { my @row = @$_;
    '{' . join(',', map { my $i = $_; (qw("what" "measured" "first" "goal" "verdict"))[$i] . ':'
                          . $text->($row[$i]) } 0 .. 4) . '}' } targets();
  print join(",\n", '{"schema":1', '"date":' . $text->($date),
    '"machine":' . $text->($machine), "\"rounds\":$rounds", sprintf('"minutes":%.0f', $minutes),
    '"interrupted":' . ($interrupted ? 'true' : 'false'),
    '"quick":' . ($option{quick} ? 'true' : 'false'), "\"load\":[$load[0],$load[1]]",
    '"versions":{' . join(',', map { $text->($_) . ':' . $text->($versions->{$_}) } sort keys %$versions) . '}',
    '"missing":[' . join(',', map { $text->("$_ ($missing{$_})") } sort keys %missing) . ']',
    '"disagreements":[' . join(',', map { $text->($_) } @disagreements) . ']',
    '"failures":[' . join(',', map { $text->($_) } @failures) . ']',
    "\"targets\":[\n" . join(",\n", @targets) . ']', "\"results\":[\n" . join(",\n", @results) . ']}'),
    "\n";
}

1;
