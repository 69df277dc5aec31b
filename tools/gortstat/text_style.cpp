#include <gort/tools/gortstat/text_style.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <gort/tools/gortstat/input.h>
#include <gort/tools/gortstat/text.h>

namespace gort::tool {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// Columns of the terminal; 0 if nobody knows.
std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const ParsedNumber columns = parse_unsigned(environment("COLUMNS"), 10000);
  return columns.state == NumberState::ok ? columns.value : 0;
}

}  // namespace

TextLayout layout_for(std::string_view path) {
  TextLayout layout;
  if (path != kStandardStream || ::isatty(STDOUT_FILENO) != 1) return layout;
  layout.colour = environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  const std::size_t width = terminal_width();
  if (width > 0) layout.width = std::clamp(width, TextLayout::kMinWidth, TextLayout::kMaxWidth);
  return layout;
}

std::string Style::place(Place place, std::string_view text) const {
  switch (place) {
    case Place::map_dead:
      return wrap("33", text);
    case Place::page_free:
      return wrap("31", text);
    case Place::returned:
      return wrap("32", text);
    default:
      return std::string(text);
  }
}

std::string Style::wrap(std::string_view code, std::string_view text) const {
  return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string padded(std::string_view text, std::size_t width) {
  const std::size_t used = display_width(text);
  return std::string(text) + std::string(used < width ? width - used : 0, ' ');
}

std::string shortened(std::string_view text, std::size_t width) {
  std::string out = printable(text);
  if (display_width(out) <= width) return out;
  return std::string(first_characters(out, width > 3 ? width - 3 : 0)) + "...";
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += i + 1 == parts.size() ? " and " : ", ";
    out += parts[i];
  }
  return out;
}

std::string rule(std::size_t width) {
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += "─";
  return out;
}

void add_wrapped(std::string& out, std::string_view text, std::size_t width, std::size_t indent) {
  for (const std::string& line : wrapped(text, width - indent)) {
    out += std::string(indent, ' ') + line + '\n';
  }
}

std::string byte_cell(std::uint64_t bytes) {
  if (bytes == 0) return "-";
  std::string text = human_bytes(bytes);
  if (const std::size_t point = text.find('.'); text.size() > 9 && point != std::string::npos) {
    text.erase(point, 2);  // 1023.4 KiB
  }
  return text;
}

Table::Table(std::string heading, std::size_t label_width, std::vector<Column> columns)
    : heading_(std::move(heading)), label_width_(label_width), columns_(std::move(columns)) {}

void Table::add_row(std::string label, std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back({std::move(label), std::move(cells)});
}

std::vector<bool> Table::fitting(std::size_t width) const {
  std::vector<bool> shown(columns_.size(), true);
  std::size_t used = label_width_;
  for (const Column& column : columns_) used += column.width;
  while (used > width) {
    const auto highest = [&](std::size_t a, std::size_t b) {
      return (shown[a] ? columns_[a].rank : 0) < (shown[b] ? columns_[b].rank : 0);
    };
    std::size_t worst = 0;
    for (std::size_t i = 1; i < columns_.size(); ++i) {
      if (highest(worst, i)) worst = i;
    }
    if (!shown[worst] || columns_[worst].rank == 0) break;
    shown[worst] = false;
    used -= columns_[worst].width;
  }
  return shown;
}

std::string Table::text(const TextLayout& layout) const {
  const Style style(layout.colour);
  const std::vector<bool> shown = fitting(layout.width);
  std::string out = style.bold(padded(heading_, label_width_));
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!shown[i]) continue;
    out += style.bold(fmt::format("{:>{}}", columns_[i].heading, columns_[i].width));
  }
  out += '\n';
  for (const Row& row : rows_) {
    out += padded(shortened(row.label, label_width_ - 1), label_width_);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!shown[i]) continue;
      const std::string cell = fmt::format("{:>{}}", row.cells[i], columns_[i].width);
      out +=
          columns_[i].place < 0 ? cell : style.place(static_cast<Place>(columns_[i].place), cell);
    }
    out += '\n';
  }
  return out;
}

}  // namespace gort::tool
