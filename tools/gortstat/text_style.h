#pragma once

// How the text output looks: colour, padding, wrapping. Shared by the report and the diff.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gort/base/ledger.h>

namespace gort::tool {

/// How wide and how colourful. The width is that of the terminal, within what the tables can do.
struct TextLayout {
  static constexpr std::size_t kMinWidth = 80;
  static constexpr std::size_t kDefaultWidth = 100;  ///< of what does not go to a terminal
  static constexpr std::size_t kMaxWidth = 120;      ///< longer lines are hard to read

  std::size_t width = kDefaultWidth;
  bool colour = false;
};

/// What suits the output `path` (output.h). "-", standard output: its terminal's width (COLUMNS if
/// that does not say), and colour unless NO_COLOR is set or TERM is "dumb". The default for
/// anything but a terminal.
TextLayout layout_for(std::string_view path);

class Style {
 public:
  explicit Style(bool colour) : colour_(colour) {}
  std::string bold(std::string_view text) const { return wrap("1", text); }
  std::string dim(std::string_view text) const { return wrap("2", text); }
  /// A place has its colour wherever it is shown: the way out of the map is yellow, red, green.
  std::string place(Place place, std::string_view text) const;

 private:
  std::string wrap(std::string_view code, std::string_view text) const;
  bool colour_;
};

/// Filled up with spaces on the right.
std::string padded(std::string_view text, std::size_t width);
/// Printable, and cut at `width` columns with "..." at its end.
std::string shortened(std::string_view text, std::size_t width);
/// "a, b and c".
std::string joined(const std::vector<std::string>& parts);
/// A horizontal line.
std::string rule(std::size_t width);
/// Appends `text` in lines of at most `width` columns, each indented.
void add_wrapped(std::string& out, std::string_view text, std::size_t width,
                 std::size_t indent = 0);

/// A cell of a table: "-" for 0, and at most 9 columns.
std::string byte_cell(std::uint64_t bytes);

/// A table: a column of labels, padded, then columns of figures, each right-aligned. Columns that
/// do not fit into the width are left out, those of the highest `rank` first.
class Table {
 public:
  struct Column {
    std::string heading;
    std::size_t width = 10;
    int rank = 0;    ///< 0: is always shown
    int place = -1;  ///< index of the place whose colour it has; -1: none
  };

  Table(std::string heading, std::size_t label_width, std::vector<Column> columns);

  /// `cells` are as many as the columns.
  void add_row(std::string label, std::vector<std::string> cells);
  std::string text(const TextLayout& layout) const;

 private:
  struct Row {
    std::string label;
    std::vector<std::string> cells;
  };

  std::vector<bool> fitting(std::size_t width) const;

  std::string heading_;
  std::size_t label_width_;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace gort::tool
