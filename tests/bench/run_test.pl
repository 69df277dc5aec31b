#!/usr/bin/perl
# Tests bench/run with programs that only print lines: what it computes from them, and what it says
# about peers that are missing, fail, or have done other work.
#
#   perl run_test.pl BENCH_RUN DIRECTORY       exit 1 if anything is wrong

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

require(dirname(abs_path(__FILE__)) . '/support.pl');

my $run = $ARGV[0];
my $directory = empty_directory($ARGV[1]);

# A program that prints one line: the next of @ns at every call. `more`: further figures.
sub program {
  my ($name, %line) = @_;
  my @ns = @{$line{ns}};
  my ($workload, $case, $more) = ($line{workload} // 'binary_trees', $line{case} // 14, $line{more} // '');
  my $path = "$directory/$name";
  open(my $file, '>', $path) or die "$path: $!\n";
  print $file <<"SH";
#!/bin/sh
n=\$(cat "$path.calls" 2>/dev/null || echo 0)
echo \$((n + 1)) > "$path.calls"
set -- @ns
shift \$n
echo '{"workload":"$workload","case":"$case",$more"impl":"$name","ops":10,"ns":'"\$1"',"user_ns":'"\$1"',"sys_ns":0,"rss_peak_kb":1024,"checksum":"$line{checksum}"}'
exit $line{status}
SH
  close $file;
  chmod 0755, $path;
}

sub output {
  my (@options) = @_;
  unlink glob("$directory/*.calls");
  my $only = (grep { /^--only/ } @options) ? '' : "--quick --only 'binary_trees'";
  my $text = `$run --bin $directory --rounds 3 $only @options 2>$directory/messages`;
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

# Not --quick from here on: whose turn it is first runs once without being counted.
program('bench_workloads', ns => [(9, 1) x 3], checksum => 'aa', status => 0, workload => 'window',
        case => '5/9', more => '"push_p9999_ns":7000,"push_max_ns":8000000,"pause_max_ns":2000000,');
unlink "$directory/peer_go";
($text, $status) = output("--only 'window'");
expect('of a window, the slowest steps', $status == 0
         && $text =~ /^window 5\/9 .*worst stop ms +.*p99\.99 us +longest ms$/m
         && $text =~ /^gort .* 2\.00 \(2\.00\.\.2\.00\) .* 7\.00 \(7\.00\.\.7\.00\) +8\.00 \(8\.00\.\.8\.00\)$/m);

program('bench_workloads', ns => [(90, 10) x 3], checksum => 'aa', status => 0, workload => 'growth',
        case => 'collect/16MiB', more => '"pause_max_ns":3000000,');
($text, $status) = output("--only 'growth (16|64) ' --memory 400");
expect('what needs more memory than there is, is left out', $status == 0
         && $text =~ /Left out: growth 64 \(takes 416 MiB of memory, 400 are free\)/);
(my $short) = output("--only 'growth (16|64) ' --memory 400 --json");
expect('which a saved run tells too', $short =~ /"missing":\[.*"growth 64 \(takes 416 MiB/);
expect('the first run of a turn does not count', $text =~ /^collect\/16MiB +1\.00 \(1\.00\.\.1\.00\)$/m);
expect('and nothing else', $text =~ /^collect\/16MiB +3\.00 \(3\.00\.\.3\.00\)$/m && $text !~ /growth 16 \(takes/);

(undef, $status) = output('--rounds 0');
expect('no rounds is bad usage', $status == 2);
(undef, $status) = output('--markdown --json');
expect('two forms of a report at once are, too', $status == 2);
(undef, $status) = output("--only '('");
expect('and what is no regular expression', $status == 2);
(undef, $status) = output("--only window --from $directory/run.json");
expect('and a choice of what has been run already', $status == 2);

unlink "$directory/bench_workloads";
($text, $status) = output();
expect('no result is an error', $status != 0 && $text eq '');
open(my $mute, '>', "$directory/bench_workloads") or die;
print $mute "#!/bin/sh\nexit 0\n";
close $mute;
chmod 0755, "$directory/bench_workloads";
($text, $status) = output();
expect('a program that says nothing has failed', $status != 0);

finish();
