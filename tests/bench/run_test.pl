#!/usr/bin/perl
# Tests bench/run with programs that only print lines: what it computes from them, and what it says
# about peers that are missing, fail, or have done other work.
#
#   perl run_test.pl BENCH_RUN DIRECTORY       exit 1 if anything is wrong

use strict;
use warnings;

my ($run, $directory) = @ARGV;
system('rm', '-rf', $directory) == 0 && system('mkdir', '-p', $directory) == 0 or die;

my $failures = 0;
sub expect {
  my ($what, $ok) = @_;
  print(($ok ? 'ok      ' : 'NOT ok  '), $what, "\n");
  $failures++ unless $ok;
}

# A program that prints one line: the next of @ns at every call.
sub program {
  my ($name, %line) = @_;
  my @ns = @{$line{ns}};
  my $path = "$directory/$name";
  open(my $file, '>', $path) or die "$path: $!\n";
  print $file <<"SH";
#!/bin/sh
n=\$(cat "$path.calls" 2>/dev/null || echo 0)
echo \$((n + 1)) > "$path.calls"
set -- @ns
shift \$n
echo '{"workload":"binary_trees","case":"14","impl":"$name","ops":10,"ns":'"\$1"',"user_ns":'"\$1"',"sys_ns":0,"rss_peak_kb":1024,"checksum":"$line{checksum}"}'
exit $line{status}
SH
  close $file;
  chmod 0755, $path;
}

sub output {
  my (@options) = @_;
  unlink glob("$directory/*.calls");
  my $text = `$run --bin $directory --quick --rounds 3 --only 'binary_trees' @options 2>$directory/messages`;
  return ($text, $? >> 8);
}

program('bench_workloads', ns => [300, 100, 200], checksum => 'aa', status => 0);
program('peer_go', ns => [1000, 4000, 2000], checksum => 'aa', status => 0);
my ($text, $status) = output();
expect('a good run is exit 0', $status == 0);
expect('median (least..most) an operation', $text =~ /^14 +20\.0 \(10\.0\.\.30\.0\) +200 \(100\.\.400\)$/m);
expect('ratio of medians and of the least', $text =~ /^14 +0\.10 0\.10 0\.10$/m);
expect('the target is judged by the median', $text =~ /^binary_trees 14, wall +0\.10 \(0\.10\) x Go.* first met, goal missed$/m);
expect('agreement is said', $text =~ /all implementations agree in all 1 cases/);
expect('missing peers are named, with their package',
       $text =~ /Left out: peer_workloads_boehm \(package libgc-dev\)/);

my ($json) = output('--json');
open(my $saved, '>', "$directory/run.json") or die;
print $saved $json;
close $saved;
my $again = `$run --from $directory/run.json --json`;
expect('a saved run is read back whole', $again eq $json && $json =~ /"ns":\[300,100,200\]/);

program('peer_go', ns => [1, 1, 1], checksum => 'bb', status => 0);
($text, $status) = output();
expect('another checksum is an error', $status == 1 && $text =~ /Checksums: DISAGREE/);
expect('it says who', $text =~ /Disagreement: binary_trees 14: aa: gort; bb: go\./);

program('peer_go', ns => [1, 1, 1], checksum => 'aa', status => 3);
($text, $status) = output();
expect('a program that fails is an error', $status == 1
         && $text =~ /Failed: go: binary_trees 14: exit status 3/);
expect('its figures do not count', $text !~ /gort \/ peer/);

(undef, $status) = output('--rounds 0');
expect('no rounds is bad usage', $status == 2);

exit($failures ? 1 : 0);
