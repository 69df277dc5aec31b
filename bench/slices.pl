#!/usr/bin/perl
# How the operations of gort's map compare with another's, by slices: two processes, each with a map of
# the same keys, take turns by some ten or hundred milliseconds (bench/workloads/map_slices.h), and a
# ratio is that of two slices side by side. Runs of whole programs (bench/run) lie seconds apart, and
# on a virtual machine, whose processors and cache have other users, the same row comes out at half
# and at twice of what it was minutes before. Medians of a dozen slices, of four runs, lay within a
# fifth of each other in 18 of 30 rows, and within a half in 29.
#
# The checksums of the two must agree, slice by slice: otherwise they have not done the same work, and
# the exit status is 1.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Getopt::Long qw(:config no_ignore_case);
use IPC::Open2;
use POSIX qw(strftime);

my $usage = <<'HELP';
usage: bench/slices.pl [--against go1.19|go|absl|std] [--slices N] [--only PATTERN] [--bin DIR]

  --against PEER  whose map (default go1.19, whose map is the bucket map that gort's follows)
  --slices N      slices of each operation (default 20)
  --only PATTERN  only rows that match this regular expression, e.g. --only 'string 4000000 churn'
  --bin DIR       where the programs are (default build/release/bin; ./dev bench builds them)

Prints a Markdown table: nanoseconds of one operation, medians of the slices, and the median of the
ratios of neighbouring slices, with their quarters.
HELP

my $root = dirname(dirname(abs_path($0)));
my %option = (bin => "$root/build/release/bin", against => 'go1.19', slices => 20, only => '.');
GetOptions(\%option, 'against=s', 'slices=i', 'only=s', 'bin=s', 'help|h')
  or do { print STDERR $usage; exit 2 };
if ($option{help}) { print $usage; exit 0 }
my %programs = ('go1.19' => 'peer_go119', go => 'peer_go', absl => 'peer_map_absl',
                std => 'peer_map_std');
if (@ARGV || $option{slices} < 1 || !$programs{$option{against}}
    || !eval { qr/$option{only}/ }) {
  print STDERR $usage;
  exit 2;
}

$SIG{PIPE} = 'IGNORE';

# A process with a map, and one slice of it: nanoseconds an operation, and a checksum.
sub start_process {
  my ($program, $kind, $keys) = @_;
  my $path = "$option{bin}/$program";
  die "slices: $path is not there: ./dev bench builds it\n" unless -x $path;
  my $process = {name => $program};
  $process->{pid} = open2($process->{from}, $process->{to}, $path, 'map_slices', $kind, $keys);
  read_line($process) eq 'ready' or die "slices: $program is not ready\n";
  return $process;
}

sub read_line {
  my ($process) = @_;
  my $line = readline $process->{from};
  die "slices: $process->{name} ended early\n" unless defined $line;
  chomp $line;
  return $line;
}

sub slice {
  my ($process, $operation) = @_;
  my $to = $process->{to};
  print $to "$operation\n";
  $to->flush;
  my $line = read_line($process);
  return ($1, $2) if $line =~ /^([\d.]+) ([0-9a-f]{16})$/;
  die "slices: $process->{name}: not understood: $line\n";
}

sub end_process {
  my ($process) = @_;
  close $process->{to};
  waitpid $process->{pid}, 0;
  die "slices: $process->{name}: status $?\n" if $?;
}

# The value that so great a part of them is not above.
sub quantile {
  my ($part, @values) = @_;
  return (sort { $a <=> $b } @values)[$part * $#values];
}

sub measure {
  my ($operation, @processes) = @_;
  my (@ratios, @ns);
  for my $n (1 .. $option{slices}) {
    my (@now, @sums);
    for my $i ($n % 2 ? (0, 1) : (1, 0)) {
      ($now[$i], $sums[$i]) = slice($processes[$i], $operation);
      push @{$ns[$i]}, $now[$i];
    }
    $sums[0] eq $sums[1]
      or die "slices: $operation: the checksums differ: $sums[0] and $sums[1]\n";
    push @ratios, $now[0] / ($now[1] || 0.01);
  }
  return (map({ quantile(0.5, @$_) } @ns), map({ quantile($_, @ratios) } 0.5, 0.25, 0.75));
}

$| = 1;
printf "%s, %d slices\n\n", strftime('%Y-%m-%d %H:%M', localtime), $option{slices};
print "| keys | operation | gort, ns | $option{against}, ns | ratio (quarters) |\n|---|---|---|---|---|\n";
for my $keys (1000, 100000, 4000000) {
  for my $kind (qw(int64 string)) {
    my @operations = grep { "$kind $keys $_" =~ /$option{only}/ } qw(hit miss iterate churn insert);
    next unless @operations;
    my @processes =
      map { start_process($_, $kind, $keys) } 'bench_map_workload', $programs{$option{against}};
    for my $operation (@operations) {
      printf "| %s %d | %s | %.1f | %.1f | %.2f (%.2f..%.2f) |\n", $kind, $keys, $operation,
        measure($operation, @processes);
    }
    end_process($_) for @processes;
  }
}
