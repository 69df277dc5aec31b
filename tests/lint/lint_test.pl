#!/usr/bin/perl
# Proves that each lint rule can fail, and fails only where it should.
#
#   perl lint_test.pl RULE SCRATCH_DIRECTORY
#
# Writes a small tree. A line that the rule must report ends in `//!`, every other line must pass;
# then the same tree without those lines must be clean.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);

my ($rule, $scratch) = @ARGV;
die "usage: lint_test.pl RULE SCRATCH_DIRECTORY\n" unless defined $scratch;
my $lint = dirname($0) . '/lint.pl';

my $home = '/ho' . 'me/somebody/x';  # in two pieces: this file is linted too
my %tree = (
  include_order => {
    'base/a.h'            => "#include <cstddef>\n#include <gort/base/b.h>\n"
                           . "#include <gort/alloc/span.h> //!\n// #include <gort/gc/ref.h>\n",
    'base/b.cpp'          => "#include <mimalloc.h> //!\n#include <fmt/format.h>\n",
    'alloc/a.cpp'         => "#include <gort/base/a.h>\n  #  include <gort/gc/ref.h> //!\n"
                           . "#include <base/a.h> //!\n#include <gort/nowhere/x.h> //!\n",
    'gc/a.cpp'            => "/* a\n#include <gort/runtime/r.h>\n*/\n#include <gort/alloc/a.h>\n"
                           . "auto n = 1'000; #define Q '\"'\n#include <gort/hashmap/m.h> //!\n"
                           . "#include <gort/gort.h> //!\n",
    'hashmap/a.cpp'       => "auto s = R\"(\n#include <gort/runtime/r.h>\n)\";\n"
                           . "#include <gort/runtime/r.h> //!\n#include <nlohmann/json.hpp> //!\n",
    'runtime/a.cpp'       => "#include <zlib.h>\n#include <gort/tools/gortstat/t.h> //!\n",
    'gort.h'              => "#include <gort/runtime/r.h>\n#include <gort/tools/t.h> //!\n",
    'tools/gortstat/t.cpp' => "#include <CLI/CLI.hpp>\n#include <gort/gort.h>\n"
                           . "#include <gort/tests/x.h> //!\n",
    'tests/base/a_test.cpp' => "#include <catch2/catch.hpp>\n#include <gort/base/a.h>\n"
                           . "#include <gort/tests/support/s.h>\n#include <gort/bench/b.h> //!\n",
    'bench/a.cpp'         => "#include <benchmark/benchmark.h>\n#include <gort/gort.h>\n",
    'examples/a.cpp'      => "#include <gort/gort.h>\n#include <catch2/catch.hpp> //!\n",
  },
  file_length => {
    'base/long.cpp'     => "\n" x 600 . "//!\n",
    'base/fits.cpp'     => "\n" x 600,
    'tests/gc/x.h'      => "\n" x 600 . "//!\n",
    'bench/run'         => "\n" x 600 . "//!\n",
    'tests/lint/x.pl'   => "\n" x 600 . "//!\n",
    'bench/data.txt'    => "\n" x 1000,
    'build/x/long.cpp'  => "\n" x 1000,
  },
  own_words => {
    'base/atomic.h'     => "x.load(std::memory_order_acquire);\n",
    'base/lock.h'       => "pthread_mutex_t m;\n",
    'hashmap/waiting_lock.h' => "std::shared_mutex m;\n",
    'hashmap/lock.h'    => "std::shared_mutex m; //!\n",
    'base/os_linux.cpp' => "void* p = ::mmap(nullptr);\n",
    'base/metadata.cpp' => "std::malloc(3);\n",
    'base/x.cpp'        => "#include \"x.h\" //!\n// #include \"x.h\"\n#include <new>\n"
                         . "x.load(std::memory_order_acquire); //!\nusing enum std::memory_order; //!\n"
                         . "// std::mutex, malloc(, new int, mmap(\nauto s = \"std::mutex mmap(\";\n"
                         . "std::mutex m; //!\nstd::shared_mutex m; //!\nstd::condition_variable c; //!\n"
                         . "pthread_rwlock_t l; //!\nstd::scoped_lock guard(a);\n"
                         . "void* p = mmap(nullptr); //!\n::madvise(p, 1, 2); //!\nos.mmap(1); os::mmap(2);\n",
    'gc/x.cpp'          => "int* a = new int; //!\nauto* b = new (p) int;\nauto* c = ::new (p) int;\n"
                         . "auto* d = new (std::nothrow) int; //!\nvoid* operator new(size_t) = delete;\n"
                         . "delete a; //!\ndelete[] a; //!\nX(const X&) = delete;\nheap->malloc(1);\n"
                         . "void* e = malloc (1); //!\nvoid* f = std::calloc(1, 1); //!\n"
                         . "auto g = std::make_unique<int>(); //!\nint renew = 0, new_size = 1;\n",
    'tests/gc/x.cpp'    => "void* p = mmap(nullptr); std::mutex m; int* a = new int; delete a;\n"
                         . "x.load(std::memory_order_relaxed); //!\n",
    'tools/gortstat/x.cpp' => "::mmap(nullptr); //!\nstd::mutex m; auto p = std::make_unique<int>();\n",
    'bench/peers/p.cpp' => "x.load(std::memory_order_relaxed);\n",
    'docs/page.md'      => "see $home //!\nsee https://example.org$home\n",
    'runtime/y.h'       => "// $home //!\n",
    'tests/golden/g.txt' => "$home\n",
  },
  links => {
    'base/a.h'     => "int a;\n",
    'README.md'    => "[a](docs/page.md) [b](base/a.h) [c](https://x.org/y.md)\n"
                    . "[a](page.md) //!\n[b](docs/page.md#two-words)\n[c](docs/page.md#none) //!\n"
                    . "`base/a.h` `base/b.h` //!\n`base/` and `gort::x`\n`[x](none.md)`\n"
                    . "```\n[a](none.md) `base/none.h`\n```\n[d](docs) [e](none) //!\n",
    'docs/page.md' => "# Two words\n[up](../README.md) [me](#two-words)\n[up](README.md) //!\n"
                    . "[me](#three) //!\n```\n# Three\n```\n",
  },
  pasted => {
    'base/a.h'     => "int a;\nint b;\n",
    'README.md'    => "<!-- base/a.h -->\n```cpp\nint a;\nint b;\n```\n"
                    . "<!-- base/a.h --> //!\n```\nint a;\n```\n"
                    . "<!-- base/none.h --> //!\n```\n```\n"
                    . "<!-- base/a.h -->\nwords between\n```sh\nls\n```\n"
                    . "```cpp //!\nint c;\n",
    'docs/page.md' => "```cpp\nint c;\n```\n<!-- base/a.h --> //!\n\n```cpp\nint c;\n```\n",
  },
);
die "no sample tree for rule $rule\n" unless exists $tree{$rule};

sub write_tree {
  my ($root, $keep) = @_;
  remove_tree($root);
  for my $path (sort keys %{$tree{$rule}}) {
    make_path(dirname("$root/$path"));
    open(my $handle, '>', "$root/$path") or die "$root/$path: $!\n";
    print $handle grep { $keep || !m{//!$} } $tree{$rule}{$path} =~ /[^\n]*\n/g;
    close $handle;
  }
}

sub run_lint {
  my ($root) = @_;
  my @output = map { /^([^:]+:\d+): / ? $1 : $_ } qx($^X "$lint" $rule "$root");
  return ($? >> 8, @output);
}

my %expected;
for my $path (keys %{$tree{$rule}}) {
  my $number = 0;
  for my $line (split /\n/, $tree{$rule}{$path}) {
    $number++;
    $expected{"$path:$number"} = 1 if $line =~ m{//!$};
  }
}

write_tree("$scratch/bad", 1);
my ($status, @found) = run_lint("$scratch/bad");
my %found = map { $_ => 1 } @found;
my @wrong = ((map { "missed:   $_" } grep { !$found{$_} } sort keys %expected),
             (map { "too much: $_" } grep { !$expected{$_} } sort keys %found));
push @wrong, "bad tree: exit status $status, not 1" if $status != 1;

write_tree("$scratch/good", 0);
($status, @found) = run_lint("$scratch/good");
push @wrong, map { "good tree: $_" } @found;
push @wrong, "good tree: exit status $status, not 0" if $status != 0;

print "$_\n" for @wrong;
printf "%s: %d planted findings\n", $rule, scalar keys %expected;
exit(@wrong ? 1 : 0);
