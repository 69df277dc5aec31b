#!/usr/bin/perl
# Keeps true what the documents show: program output and source files pasted into *.md.
#
#   perl paste.pl check ROOT BIN     says which blocks differ; exit 1 if any does
#   perl paste.pl write ROOT BIN     rewrites them
#
# A block follows a line that says what it is:
#   <!-- examples/embed.cpp -->        the file (the lint rule `pasted` checks these too)
#   <!-- output of one_delete -->      what BIN/one_delete prints, run in ROOT
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

sub output_of {
  my ($command) = @_;
  delete local @ENV{qw(GOGC GOMEMLIMIT GORT_DEBUG)};
  my $output = qx("$bin"/$command);
  die "$bin/$command: exit status $?\n" if $? != 0;
  return $output;
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
  my $new = $text =~ s{(^<!--\ (output\ of\ )?([^\n]*?)\ -->\n```\w*\n)(.*?)(^```$)}{
    my ($head, $is_output, $what, $block, $end) = ($1, $2, $3, $4, $5);
    my $wanted = $is_output ? output_of($what) : slurp($what);
    $checked++;
    if (normal($block) ne normal($wanted)) {
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
