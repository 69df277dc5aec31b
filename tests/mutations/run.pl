#!/usr/bin/env perl
# Takes out, one after the other, the lines listed in mutations.txt, builds the test program, runs
# it, and expects it to fail: a line that no test misses is not tested. Works on a copy of the tree
# under build/mutations. Usage: ./dev mutations [PATTERN]   (names that match, all else). With --check
# instead: only whether all of the list can be applied.
# Before that, the tests in question must pass as things are. Ends with "N found, M survived"; exit
# status 1 if any survived or did not build.
use strict;
use warnings;
use File::Basename;
use Cwd qw(abs_path);

$| = 1;
my $root = abs_path(dirname(__FILE__) . '/../..');
my $check_only = @ARGV && $ARGV[0] eq '--check';
my $pattern = @ARGV && !$check_only ? $ARGV[0] : '.';
my $work = "$root/build/mutations";
my $source = "$work/src";
my $log = "$work/log";
# What ccache asks for (see ./dev), and what the sanitizer does when it finds something: end.
$ENV{CCACHE_SLOPPINESS} //= 'pch_defines,time_macros';
$ENV{TSAN_OPTIONS} = 'halt_on_error=1:allocator_may_return_null=1';

my %builds = (
  release => ['-DCMAKE_BUILD_TYPE=Release'],
  # For an order of accesses that the machine itself would never break: mutations with "build: tsan".
  tsan => ['-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g', '-DGORT_SANITIZE=thread'],
);

my (@list, $entry);
open my $in, '<', "$root/tests/mutations/mutations.txt" or die "mutations.txt: $!\n";
while (<$in>) {
  chomp;
  next if /^#/ || /^\s*$/;
  if (/^name: (.*)/) { push @list, $entry = {name => $1, build => 'release'}; }
  elsif (/^(file|test|build): (.*)/) { $entry->{$1} = $2; }
  elsif (/^([-+])(.*)/) { $entry->{$1} = $2; }
  else { die "mutations.txt:$.: not understood: $_\n"; }
}
close $in;
my @files = map { $_->{file} } @list;
@list = grep { $_->{name} =~ /$pattern/ } @list;

sub slurp { local (@ARGV, $/) = @_; return scalar <>; }
sub spit {
  my ($path, $text) = @_;
  open my $out, '>', $path or die "$path: $!\n";
  print $out $text;
  close $out;
}

sub mutant_of {
  my ($m) = @_;
  my $original = slurp("$root/$m->{file}");
  my $at = index $original, "\n$m->{'-'}\n";
  die "$m->{name}: the line is not in $m->{file}, exactly once\n"
    if $at < 0 || index($original, "\n$m->{'-'}\n", $at + 1) >= 0;
  my $mutant = $original;
  substr($mutant, $at, length("\n$m->{'-'}\n")) = "\n$m->{'+'}\n";
  return ($original, $mutant);
}

sub build {
  my ($build, $program) = @_;
  return system("ninja -C $work/$build $program >$log 2>&1") == 0;
}

# The status of one run; 124 if it hangs.
sub run {
  my ($build, $test) = @_;
  my ($program, $filter) = split ' ', $test, 2;
  $filter =~ s/(?=,|$)/~[.]/g;  # a tag would bring the slow tests too
  my $pid = fork() // die "fork: $!\n";
  if ($pid == 0) {
    open STDOUT, '>', $log;
    open STDERR, '>&', \*STDOUT;
    exec 'timeout', 60, "$work/$build/bin/$program", $filter or die "timeout: $!\n";
  }
  waitpid $pid, 0;
  return $? & 127 ? 128 + ($? & 127) : $? >> 8;
}

# The test case of the first failed assertion in the log; who crashes, hangs or is ended by a
# sanitizer leaves none.
sub first_failed {
  my $case = '';
  my $log_text = slurp($log);
  while ($log_text =~ /^-{79}\n((?:(?!-{79}).*\n)+)-{79}\n|\bFAILED:/gm) {
    return ": $case" if !defined $1;
    ($case = $1) =~ s/\n  .*//s;  # sections are indented
    $case =~ s/\n(?=.)/ /g;
    chomp $case;
  }
  return '';
}

# A list that is out of date is told before anything is built.
mutant_of($_) for @list;
exit 0 if $check_only;

# As in ./dev: the thread sanitizer wants addresses that are not randomised by more than 28 bits.
if (grep { $_->{build} eq 'tsan' } @list) {
  my ($bits) = -r '/proc/sys/vm/mmap_rnd_bits' ? slurp('/proc/sys/vm/mmap_rnd_bits') =~ /(\d+)/ : 28;
  if ($bits > 28 && !$ENV{GORT_DEV_FIXED_ADDRESSES} && system('setarch -R true 2>/dev/null') == 0) {
    $ENV{GORT_DEV_FIXED_ADDRESSES} = 1;
    exec 'setarch', '-R', $^X, $0, @ARGV or die "setarch: $!\n";
  }
}

# The copy keeps its times, so only what a mutation touches is built again; that may have been in an
# earlier run.
system("rm -rf $source && mkdir -p $source && cd $root && tar --exclude=./build --exclude=./.git "
     . "-cf - . | tar -xf - -C $source") == 0 or die "copying the tree failed\n";
utime undef, undef, "$source/$_" for @files;
for my $build (do { my %seen; grep { !$seen{$_}++ } map { $_->{build} } @list }) {
  my $flags = $builds{$build} // die "no build called $build\n";
  # A mutant may leave something unused.
  system("cmake -S $source -B $work/$build -G Ninja -DGORT_WERROR=OFF -DGORT_BUILD_BENCH=OFF "
       . join(' ', map { "'$_'" } @$flags) . " >$log 2>&1") == 0
    or die "configuring failed, see $log\n";
}
my %tried;
for my $m (@list) {
  next if $tried{"$m->{build} $m->{test}"}++;
  my ($program) = split ' ', $m->{test};
  build($m->{build}, $program) or die "$program does not build as it is, see $log\n";
  my $status = run($m->{build}, $m->{test});
  die "$m->{test} fails as things are (status $status), see $log\n" if $status != 0;
}

my ($found, $survived) = (0, 0);
for my $m (@list) {
  my ($original, $mutant) = mutant_of($m);
  my ($program) = split ' ', $m->{test};
  spit("$source/$m->{file}", $mutant);
  my $verdict = 'DOES NOT BUILD';
  if (build($m->{build}, $program)) {
    # Some need the right moment, so a survivor gets more chances.
    my $status = 0;
    for (1 .. 5) {
      $status = run($m->{build}, $m->{test});
      last if $status != 0;
    }
    $verdict = $status == 0 ? 'SURVIVED' : $status == 124 ? 'found (hangs)' : "found (status $status)";
    $verdict .= first_failed() if $status != 0;
  }
  $verdict =~ /^found/ ? ++$found : ++$survived;
  printf "%-75s %s\n", $m->{name}, $verdict;
  spit("$source/$m->{file}", $original);
}
print "$found found, $survived survived\n";
exit($survived ? 1 : 0);
