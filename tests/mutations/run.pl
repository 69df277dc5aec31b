#!/usr/bin/env perl
# Takes out, one after the other, the lines listed in mutations.txt, builds the test program, runs
# it, and expects it to fail: a line that no test misses is not tested. Works on a copy of the tree
# under build/mutations. Usage: perl tests/mutations/run.pl [PATTERN]   (names that match, all else)
# Ends with "N found, M survived"; exit status 1 if any survived or did not build.
use strict;
use warnings;
use File::Basename;
use Cwd qw(abs_path);

my $root = abs_path(dirname(__FILE__) . '/../..');
my $pattern = @ARGV ? $ARGV[0] : '.';
my $work = "$root/build/mutations";

my (@list, $entry);
open my $in, '<', "$root/tests/mutations/mutations.txt" or die "mutations.txt: $!\n";
while (<$in>) {
  chomp;
  next if /^#/ || /^\s*$/;
  if (/^name: (.*)/) { push @list, $entry = {name => $1}; }
  elsif (/^(file|test): (.*)/) { $entry->{$1} = $2; }
  elsif (/^([-+])(.*)/) { $entry->{$1} = $2; }
  else { die "mutations.txt:$.: not understood: $_\n"; }
}
close $in;

# The copy keeps its times, so only what a mutation touches is built again.
system("mkdir -p $work/src && cd $root && tar --exclude=./build --exclude=./.git -cf - . "
     . "| tar -xf - -C $work/src") == 0 or die "copying the tree failed\n";
system("cmake -S $work/src -B $work/build -G Ninja -DCMAKE_BUILD_TYPE=Release >$work/log 2>&1") == 0
  or die "configuring failed, see $work/log\n";

sub slurp { local (@ARGV, $/) = @_; return scalar <>; }
sub spit { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!\n"; print $out $text; close $out; }
sub build { return system("ninja -C $work/build $_[0] >$work/log 2>&1") == 0; }

my ($found, $survived) = (0, 0);
for my $m (@list) {
  next if $m->{name} !~ /$pattern/;
  my ($program, $filter) = split ' ', $m->{test}, 2;
  my $path = "$work/src/$m->{file}";
  my $original = slurp("$root/$m->{file}");
  my $at = index $original, "\n$m->{'-'}\n";
  die "$m->{name}: the line is not in $m->{file}, exactly once\n"
    if $at < 0 || index($original, "\n$m->{'-'}\n", $at + 1) >= 0;
  my $mutant = $original;
  substr($mutant, $at, length("\n$m->{'-'}\n")) = "\n$m->{'+'}\n";
  spit($path, $mutant);
  my $verdict;
  if (!build($program)) {
    $verdict = 'DOES NOT BUILD';
    ++$survived;
  } else {
    # Some need the right moment, so a survivor gets more chances.
    my $status = 0;
    for (1 .. 5) {
      $status = system("timeout 60 $work/build/bin/$program '$filter' >$work/log 2>&1");
      last if $status != 0;
    }
    my $code = $status >> 8;
    $verdict = $status == 0 ? 'SURVIVED' : $code == 124 ? 'found (hangs)' : "found (status $code)";
    $status == 0 ? ++$survived : ++$found;
  }
  printf "%-75s %s\n", $m->{name}, $verdict;
  spit($path, $original);
}
print "$found found, $survived survived\n";
exit($survived ? 1 : 0);
