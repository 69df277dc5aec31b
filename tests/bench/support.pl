# What the tests of the benchmarks' runners share: an empty directory, and expectations.
#
#   empty_directory(PATH)  makes it, and returns its path
#   expect(WHAT, OK)       prints a line
#   finish()               ends the program: status 1 if anything was wrong

use strict;
use warnings;

my $failures = 0;

sub empty_directory {
  my ($path) = @_;
  system('rm', '-rf', $path) == 0 && system('mkdir', '-p', $path) == 0 or die;
  return $path;
}

sub expect {
  my ($what, $ok) = @_;
  print(($ok ? 'ok      ' : 'NOT ok  '), $what, "\n");
  $failures++ unless $ok;
}

sub finish { exit($failures ? 1 : 0) }

1;
