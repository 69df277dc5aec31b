#!/usr/bin/perl
# Keeps true what the documents show: program output and source files pasted into *.md.
#
#   perl paste.pl check ROOT BIN     says which blocks differ; exit 1 if any does
#   perl paste.pl write ROOT BIN     rewrites them
#
# A block follows a line that says what it is:
#   <!-- examples/embed.cpp -->        the file (the lint rule `pasted` checks these too)
#   <!-- output of one_delete -->      what BIN/one_delete prints, run in ROOT
#   <!-- sample of gortstat replay X, from "The journey" -->
#                                      one paragraph of the output, from the line that begins so. It
#                                      differs from run to run: checked is only that there is one
#
# Not compared: addresses, and bytes of metadata, which depend on the version of mimalloc.

use strict;
use warnings;

my ($mode, $root, $bin) = @ARGV;
die "usage: paste.pl check|write ROOT BIN\n" unless defined $bin && $mode =~ /^(?:check|write)$/;
chdir $root or die "$root: $!\n";

sub slurp {
  open(my $handle, '<', $_[0]) or die "$_[0]: $!\n";
  local $/;
  return scalar <$handle>;
}

my %outputs;
sub output_of {
  my ($command, $from) = @_;
  delete local @ENV{qw(GOGC GOMEMLIMIT GORT_DEBUG)};
  my $output = $outputs{$command} //= qx("$bin"/$command);
  die "$bin/$command: exit status $?\n" if $? != 0;
  return $output unless defined $from;
  die "$bin/$command: no paragraph begins with $from\n" if $output !~ /^(\Q$from\E.*?\n)(?:\n|\z)/ms;
  return $1;
}

sub normal {
  my ($text) = @_;
  $text =~ s/\b0x[0-9a-f]+/0x/g;
  $text =~ s/ metadata [+-]\d+//g;
  return $text;
}

my ($status, $checked) = (0, 0);
for my $path (grep { -f } 'README.md', glob('docs/*.md')) {
  my $text = slurp($path);
  my $new = $text =~ s{
      (^<!--\ (?:(output|sample)\ of\ )?([^\n]*?)(?:,\ from\ "([^"\n]+)")?\ -->\n```\w*\n)(.*?)(^```$)
    }{
    my ($head, $kind, $what, $from, $block, $end) = ($1, $2, $3, $4, $5, $6);
    my $wanted = defined $kind ? output_of($what, $from) : slurp($what);
    my $is_sample = defined $kind && $kind eq 'sample';
    $checked++;
    if (normal($block) ne normal($wanted) && !($is_sample && $mode eq 'check')) {
      print "$path: ", $mode eq 'write' ? 'rewritten' : 'differs', ": $what\n";
      $status = 1 if $mode eq 'check';
      $block = $wanted;
    }
    $head . $block . $end;
  }gemsxr;
  next if $mode eq 'check' || $new eq $text;
  open(my $handle, '>', $path) or die "$path: $!\n";
  print $handle $new;
  close $handle;
}
die "no pasted block found below $root\n" if $checked == 0;
print "to refresh: perl tests/lint/paste.pl write . $bin\n" if $status != 0;
exit $status;
