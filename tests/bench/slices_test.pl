#!/usr/bin/perl
# Tests bench/slices.pl with programs that only print lines: what it computes from them, and what it
# says about one that is missing, ends, or has done other work.
#
#   perl slices_test.pl BENCH_SLICES DIRECTORY     exit 1 if anything is wrong

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

require(dirname(abs_path(__FILE__)) . '/support.pl');

my $slices = $ARGV[0];
my $directory = empty_directory($ARGV[1]);

# A program that is ready, and answers each line with the next of the lines in @answers; then it ends.
sub program {
  my ($name, @answers) = @_;
  my $path = "$directory/$name";
  open(my $file, '>', $path) or die "$path: $!\n";
  print $file "#!/bin/sh\necho \"\$*\" >> $path.arguments\necho ready\n";
  print $file "read line || exit 0\necho \"\$line\" >> $path.lines\necho '$_'\n" for @answers;
  close $file;
  chmod 0755, $path;
}

sub output {
  my (@options) = @_;
  unlink glob("$directory/*.arguments"), glob("$directory/*.lines");
  my $text = `$^X $slices --bin $directory --slices 4 --only 'int64 1000 hit' @options 2>$directory/messages`;
  return ($text, $? >> 8);
}

sub contents {
  my ($path) = @_;
  open(my $file, '<', "$directory/$path") or return '';
  local $/;
  return <$file>;
}

my $sum = '0123456789abcdef';
program('bench_map_workload', "10.00 $sum", "30.00 $sum", "20.00 $sum", "40.00 $sum");
program('peer_go119', map { "$_.00 $sum" } 100, 100, 50, 50);
my ($text, $status) = output();
expect('a good run is exit 0', $status == 0);
# Ratios 0.1, 0.3, 0.4, 0.8.
expect('medians, and the median and quarters of the ratios of neighbours',
       $text =~ /^\| int64 1000 \| hit \| 20\.0 \| 50\.0 \| 0\.30 \(0\.10\.\.0\.40\) \|$/m);
expect('the peer is named', $text =~ /go1\.19, ns/);
expect('rows that do not match are not asked for', 1 == grep { /int64|string/ } split /\n/, $text);
expect('what the programs are asked', contents('peer_go119.arguments') eq "map_slices int64 1000\n"
         && contents('peer_go119.lines') eq "hit\n" x 4);

program('peer_go119', ("10.00 $sum") x 3, '10.00 0000000000000000');
($text, $status) = output();
expect('other work fails', $status != 0 && contents('messages') =~ /hit: the checksums differ/);

program('peer_go119', ("10.00 $sum") x 3);
($text, $status) = output();
expect('a program that ends early fails',
       $status != 0 && contents('messages') =~ /peer_go119 ended early/);

program('peer_go119', ('no such operation: hit') x 4);
($text, $status) = output();
expect('what is not understood is shown',
       $status != 0 && contents('messages') =~ /peer_go119: not understood: no such operation: hit/);

($text, $status) = output('--against absl');
expect('a program that is not there is named',
       $status != 0 && contents('messages') =~ /peer_map_absl is not there/);

($text, $status) = output('--against nobody');
expect('another peer than those is a wrong usage', $status == 2 && contents('messages') =~ /^usage:/);

finish();
