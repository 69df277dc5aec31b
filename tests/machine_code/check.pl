#!/usr/bin/env perl
# Looks at the machine code (x86-64) of functions that allocate one object each: there must be a way
# from the entry to a return that calls nothing, and on every such way no locked instruction, a store
# (the slot is taken), and no more instructions than a fast path may have. Whatever calls is a slow
# path, and free to be anything.
#
# Usage: perl check.pl OBJDUMP OBJECT_FILE FUNCTION...   Says what it found; exit status 1 if a
# function is not so.
use strict;
use warnings;

my $most = 30;  # today 11 to 19
my ($objdump, $object, @functions) = @ARGV;

# function => [[address, mnemonic, operands, has a relocation]...]
my (%code, $function);
open my $in, '-|', $objdump, '-d', '-r', '--no-show-raw-insn', $object or die "$objdump: $!\n";
while (<$in>) {
  if (/^[0-9a-f]+ <(.+)>:/) { $function = $code{$1} = []; }
  elsif (/^\s*([0-9a-f]+):\t(\S+)\s*(.*?)\s*(?:#.*)?$/) {
    if ($2 =~ /^R_X86_64/) { $function->[-1][3] = 1 if @$function; }
    else { push @$function, [hex $1, $2, $3, 0]; }
  }
  elsif (/^\s+[0-9a-f]+: R_X86_64/) { $function->[-1][3] = 1 if $function && @$function; }
}
close $in or die "$objdump failed\n";

# All ways from an instruction to a return that call nothing, as lists of instructions.
sub ways {
  my ($code, $at, $i, %seen) = @_;
  my @way;
  for (;; ++$i) {
    return () if $i > $#$code || $seen{$i}++;  # a loop is no way out of itself
    my ($address, $what, $operands, $relocated) = @{$code->[$i]};
    push @way, $code->[$i];
    return [@way] if $what =~ /^ret/ || ($what =~ /^(bnd|repz?)$/ && $operands =~ /^ret/);
    return () if $what =~ /^(call|ud2|hlt|int)/ || "$what $operands" =~ /^\S+ call/;
    next if $what !~ /^j/;
    my $to = !$relocated && $operands =~ /^([0-9a-f]+)/ ? $at->{hex $1} : undef;  # else elsewhere
    my @taken = defined $to ? ways($code, $at, $to, %seen) : ();
    my @not_taken = $what =~ /^jmp/ ? () : ways($code, $at, $i + 1, %seen);
    return map { [@way, @$_] } @taken, @not_taken;
  }
}

my $failed = 0;
sub complain { print "@_\n"; $failed = 1; }

for my $name (@functions) {
  my $code = $code{$name} or do { complain("$name: not found"); next; };
  my %at = map { $code->[$_][0] => $_ } 0 .. $#$code;
  my @ways = ways($code, \%at, 0);
  complain("$name: no way without a call") if !@ways;
  for my $way (@ways) {
    my @text = map { "$_->[1] $_->[2]" } @$way;
    my @locked = grep { /^lock\b/ || /^xchg.*\(/ || /^[ml]fence/ } @text;
    my @stores = grep { /^mov.*,[^,]*\((?:[^()]*)\)$/ } @text;
    complain("$name: locked instruction without a call: $locked[0]") if @locked;
    complain("$name: a way that stores nothing") if !@stores;
    complain("$name: " . @text . " instructions") if @text > $most;
    print "$name: ", scalar @text, " instructions\n" if !$failed;
  }
}
exit $failed;
