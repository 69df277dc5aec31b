#!/usr/bin/perl
# Checks of the source tree that no compiler makes. Needs only perl-base, which every Debian has.
#
#   perl lint.pl RULE [ROOT]     prints one `file:line: what` a finding; exit 1 if there is any
#
# Rules:
#   include_order  a file includes only its own room and rooms below it; third-party headers stay in
#                  the rooms that may know them
#   file_length    no source file and no script is longer than 600 lines
#   own_words      things that have one home (memory orders, locks, mmap, malloc) stay there; no
#                  relative include; no path of somebody's machine
#   links          in *.md: relative links lead to a file and a heading that exist, and so does every
#                  path of the tree that stands in backquotes
#   pasted         in *.md: a code block after <!-- path --> is that file, to the letter; a ```cpp
#                  block of README.md has such a line
#
# Comments never count, except for machine paths. lint_test.pl proves that each rule can fail.

use strict;
use warnings;
use File::Basename qw(basename);

my ($rule, $root) = @ARGV;
$root = '.' unless defined $root;

# --- the tree ----------------------------------------------------------------------------------------

# Bottom to top. A room may include what stands strictly below it, and itself. gort.h is a room of
# its own between runtime and its users.
my %rank = (base => 0, alloc => 1, gc => 2, hashmap => 3, runtime => 4, 'gort.h' => 5,
            tools => 6, tests => 7, bench => 7, examples => 7);
my %runtime_room = map { $_ => 1 } qw(base alloc gc hashmap runtime);
my $max_lines = 600;
my %programs = map { $_ => 1 } qw(dev .ci/run bench/run);  # scripts without a suffix

# Headers of other people, and who may include them (default: everybody).
my @third_party = (
  [qr{^catch2/},           'tests'],
  [qr{^benchmark/},        'bench'],
  [qr{^CLI/},              'tools'],
  [qr{^nlohmann/},         'tools tests'],
  [qr{^protozero/|^zlib\.h$}, 'runtime tools tests'],
  [qr{^mimalloc},          'bench'],  # opened at run time, see base/metadata.cpp
  [qr{^gc\.h$|^absl/|^jemalloc/}, 'bench'],
);

# Files below $root/$directory as paths relative to $root; build trees and recordings are skipped.
sub files_below {
  my ($directory) = @_;
  my @found;
  opendir(my $handle, "$root/$directory") or return ();
  for my $name (sort readdir $handle) {
    next if $name =~ /^\.\.?$/ || $name =~ /^(?:\.git|\.cache|build|golden|traces)$/;
    my $path = $directory eq '.' ? $name : "$directory/$name";
    next if -l "$root/$path";
    if (-d "$root/$path") { push @found, files_below($path) }
    else                  { push @found, $path }
  }
  closedir $handle;
  return @found;
}

sub sources { return grep { /\.(?:h|cpp)$/ && exists $rank{room_of($_)} } files_below('.') }

sub room_of { my ($path) = @_; return (split m{/}, $path)[0] }

sub slurp {
  my ($path) = @_;
  open(my $handle, '<', "$root/$path") or die "$path: $!\n";
  local $/;
  my $text = <$handle>;
  return defined $text ? $text : '';
}

# Blanks comments and raw strings, and with $strings also ordinary strings and characters. Newlines
# stay, so line numbers do.
sub code_of {
  my ($text, $strings) = @_;
  my $blank = sub { my ($s) = @_; $s =~ s/[^\n]/ /g; return $s };
  my $out = '';
  while ($text =~ m{\G(?:
        (?<comment> //(?:[^\n\\]|\\.)*+ | /\*.*?(?:\*/|\z) )
      | (?<raw>     (?:u8|[uUL])?R"(?<tag>[^()\\\s]{0,16})\(.*?\)\g{tag}" )
      | (?<string>  "(?:[^"\\\n]|\\.)*+"? | '(?:[^'\\\n]|\\.)*+'? )
      | (?<word>    \d(?:'?[\w.])*+ | [A-Za-z_]\w*+ )   # a digit separator is not a quote
      | (?<other>   . )
    )}gxs) {
    if (defined $+{comment} || defined $+{raw}) { $out .= $blank->($&) }
    elsif (defined $+{string} && $strings)      { $out .= $blank->($&) }
    else                                        { $out .= $& }
  }
  return $out;
}

my $findings = 0;
sub finding {
  my ($path, $line, $what) = @_;
  print "$path:$line: $what\n";
  $findings++;
}

# Calls $check->($line, $number) for each line.
sub each_line {
  my ($text, $check) = @_;
  my $number = 0;
  $check->($_, ++$number) for split /\n/, $text, -1;
}

# --- rules -------------------------------------------------------------------------------------------

sub include_order {
  for my $path (sources()) {
    my $room = room_of($path);
    each_line(code_of(slurp($path), 0), sub {
      my ($line, $number) = @_;
      return unless $line =~ /^\s*#\s*include\s*<([^>]+)>/;
      my $header = $1;
      my $first = (split m{/}, $header)[0];
      if ($header =~ m{^gort/(.+)$}) {
        my $target = room_of($1);
        if (!exists $rank{$target}) {
          finding($path, $number, "<$header> is in no room");
        } elsif ($target ne $room && $rank{$target} >= $rank{$room}) {
          finding($path, $number, "$room may not include $target (<$header>)");
        }
      } elsif (exists $rank{$first} && -e "$root/$header") {
        finding($path, $number, "write <gort/$header>");
      } else {
        for my $entry (@third_party) {
          my ($pattern, $rooms) = @$entry;
          next unless $header =~ $pattern;
          finding($path, $number, "<$header> is only for: $rooms")
            unless grep { $_ eq $room } split ' ', $rooms;
        }
      }
    });
  }
}

sub file_length {
  for my $path (sources(), grep { /\.pl$/ || $programs{$_} } files_below('.')) {
    my $lines = (slurp($path) =~ tr/\n//);
    finding($path, $lines, "$lines lines, more than $max_lines: split it") if $lines > $max_lines;
  }
}

# Each entry: pattern, what to say, and which paths it does not hold for. A function counts when it
# is called as a free function: not a member, not of a namespace other than std.
my $free_call = qr/(?<![\w.])(?<!->)(?<!\w::)(?:std::)?/;
my @words = (
  [qr/\bmemory_order(?:_\w+)?\b/, 'memory orders are named in base/atomic.h only',
   sub { $_[0] eq 'base/atomic.h' || $_[0] =~ m{^bench/peers/} }],
  [qr/\bstd::(?:\w+_)?mutex\b|\bstd::condition_variable|\bpthread_(?:mutex|rwlock|cond|spin)\w*/,
   'locks come from base/lock.h',
   # waiting_lock.h: locks of the program, held while it allocates, so they can have no rank
   sub { !$runtime_room{room_of($_[0])} ||
         $_[0] =~ m{^(?:base/lock\w*\.(?:h|cpp)|hashmap/waiting_lock\.h)$} }],
  [qr/$free_call\b(?:mmap|munmap|mremap|madvise|mprotect)\s*\(/,
   'the operating system is reached through base/os.h',
   sub { room_of($_[0]) =~ /^(?:tests|bench|examples)$/ || $_[0] =~ m{^base/os\w*\.cpp$} }],
  [qr/$free_call\b(?:malloc|calloc|realloc|posix_memalign|aligned_alloc|strdup)\s*\(/,
   "the runtime's own memory comes from base/metadata.h",
   sub { !$runtime_room{room_of($_[0])} || $_[0] eq 'base/metadata.cpp' }],
  # Placement new is no allocation: `new (place) T`. So is `= delete`.
  [qr/(?<!operator )\bnew\b(?!\s*\()|\bnew\s*\(\s*std::nothrow|\bstd::make_(?:unique|shared)\b/,
   "no new: the runtime's own memory comes from base/metadata.h",
   sub { !$runtime_room{room_of($_[0])} }],
  [qr/(?<!operator )\bdelete\b(?:\s*\[\s*\])?\s*[\w*(:]/,
   "no delete: the runtime's own memory comes from base/metadata.h",
   sub { !$runtime_room{room_of($_[0])} }],
);

sub own_words {
  for my $path (sources()) {
    my $text = slurp($path);
    each_line(code_of($text, 0), sub {
      my ($line, $number) = @_;
      finding($path, $number, 'relative include: write <gort/...>') if $line =~ /^\s*#\s*include\s*"/;
    });
    my @rules = grep { !$_->[2]->($path) } @words;
    each_line(code_of($text, 1), sub {
      my ($line, $number) = @_;
      return if $line =~ /^\s*#\s*include\b/;
      for my $entry (@rules) { finding($path, $number, $entry->[1]) if $line =~ $entry->[0] }
    });
  }
  for my $path (grep { /\.(?:h|cpp|md|txt|cmake|json|in|pl|sh|map)$/ || $programs{$_} }
                files_below('.')) {
    each_line(slurp($path), sub {
      my ($line, $number) = @_;
      finding($path, $number, "a path of somebody's machine: $1")
        if $line =~ m%(?<![\w.}])(/(?:work|root|home)/)%;
    });
  }
}

# --- documents ---------------------------------------------------------------------------------------

sub documents { return grep { /\.md$/ } files_below('.') }

# GitHub's name for a heading: lower case, spaces to hyphens, other punctuation gone.
sub anchors {
  my ($text) = @_;
  my (%anchors, $in_block);
  for (split /\n/, $text) {
    $in_block = !$in_block if /^```/;
    next if $in_block || !/^#+\s+(.*?)\s*$/;
    (my $name = lc $1) =~ s/[^\w\- ]//g;
    $name =~ tr/ /-/;
    $anchors{$name} = 1;
  }
  return \%anchors;
}

# a/./b/../c -> a/c
sub normal_path {
  my @parts;
  for (split m{/}, $_[0]) {
    next if $_ eq '' || $_ eq '.';
    if ($_ eq '..' && @parts && $parts[-1] ne '..') { pop @parts } else { push @parts, $_ }
  }
  return join '/', @parts;
}

sub links {
  my $of_the_tree = join '|', map { quotemeta } keys %rank, qw(docs cmake dev README.md);
  for my $path (documents()) {
    (my $directory = $path) =~ s{[^/]*$}{};
    my $in_block = 0;
    each_line(slurp($path), sub {
      my ($line, $number) = @_;
      $in_block = !$in_block if $line =~ /^```/;
      return if $in_block;
      while ($line =~ /`([^`]+)`/g) {
        my $name = $1;
        next unless $name =~ m{^(?:$of_the_tree)(?:/[\w./-]*)?$} && $name =~ m{[/.]};
        finding($path, $number, "no such file: $name") unless -e "$root/$name";
      }
      (my $prose = $line) =~ s/`[^`]*`//g;
      while ($prose =~ /\]\(([^()\s]+)\)/g) {
        my $target = $1;
        next if $target =~ /^[a-z]+:/;
        my ($file, $anchor) = $target =~ /^([^#]*)(?:#(.*))?$/;
        my $linked = $file eq '' ? $path : normal_path("$directory$file");
        if (!-e "$root/$linked") {
          finding($path, $number, "leads nowhere: $target");
        } elsif (defined $anchor && !anchors(slurp($linked))->{$anchor}) {
          finding($path, $number, "no such heading: $target");
        }
      }
    });
  }
}

sub pasted {
  for my $path (documents()) {
    my ($source, $block, $begin);  # of the comment just read, of the block being read
    each_line(slurp($path), sub {
      my ($line, $number) = @_;
      if (defined $block) {
        if ($line !~ /^```/) { $block .= "$line\n"; return }
        if (defined $source && !-e "$root/$source") {
          finding($path, $begin, "no such file: $source");
        } elsif (defined $source && slurp($source) ne $block) {
          finding($path, $begin, "the block below is not $source any more");
        }
        undef $_ for $block, $source;
      } elsif ($line =~ /^<!-- (\S+) -->/) {
        ($source, $begin) = ($1, $number);
      } elsif ($line =~ /^```(\w*)/) {
        finding($path, $number, 'a C++ block without <!-- path --> before it')
          if $1 eq 'cpp' && $path eq 'README.md' && !defined $source;
        $block = '';
      } elsif ($line =~ /\S/) {
        undef $source;
      }
    });
  }
}

my %rules = (include_order => \&include_order, file_length => \&file_length,
             own_words => \&own_words, links => \&links, pasted => \&pasted);
if (!defined $rule || !exists $rules{$rule}) {
  print STDERR 'usage: ' . basename($0) . ' ' . join('|', sort keys %rules) . " [ROOT]\n";
  exit 2;
}
if (!sources()) {
  print STDERR "$root: no sources here\n";
  exit 2;
}
$rules{$rule}->();
exit($findings ? 1 : 0);
