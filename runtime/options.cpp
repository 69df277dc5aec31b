#include <gort/runtime/options.h>

#include <charconv>
#include <cstdlib>
#include <stdexcept>

#include <fmt/format.h>

#include <gort/base/fatal.h>

namespace gort {
namespace {

[[noreturn]] void bad_value(std::string_view name, std::string_view value,
                            std::string_view wanted) {
  throw std::invalid_argument(fmt::format("{}={}: want {}", name, value, wanted));
}

template <class T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

void apply_gogc(Options& options, std::string_view text) {
  if (text == "off") {
    options.gc_percent = -1;
  } else if (!parse_number(text, options.gc_percent)) {
    bad_value("GOGC", text, "a whole number of percent, or off");
  }
}

std::uint64_t debug_number(std::string_view key, std::string_view value) {
  std::uint64_t n = 0;
  if (!parse_number(value, n)) bad_value(fmt::format("GORT_DEBUG: {}", key), value, "a number");
  return n;
}

void apply_debug(Options& options, std::string_view text) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) bad_value("GORT_DEBUG", item, "key=value");
    const std::string_view key = item.substr(0, equals);
    const std::string_view value = item.substr(equals + 1);
    if (key == "gctrace") {
      options.gctrace = debug_number(key, value) != 0;
    } else if (key == "scavenger") {
      options.background_scavenger = debug_number(key, value) != 0;
    } else if (key == "scavtrace") {
      options.scavtrace = debug_number(key, value) != 0;
    } else if (key == "gcevery") {
      options.collect_every = debug_number(key, value);
    } else if (key == "stacks") {
      options.conservative_stacks = debug_number(key, value) != 0;
    } else if (key == "stopsignal") {
      const std::uint64_t signal = debug_number(key, value);
      if (signal >= NSIG) bad_value("GORT_DEBUG: stopsignal", value, "a signal number");
      options.stop_signal = static_cast<int>(signal);
    } else if (key == "bgsweep") {
      options.background_sweep = debug_number(key, value) != 0;
    } else if (key == "markers") {
      options.markers = debug_number(key, value);
    } else if (key == "verify") {
      options.verify = debug_number(key, value) != 0;
    } else if (key == "poison") {
      options.poison = debug_number(key, value) != 0;
    } else {
      // As in Go, an unknown key is not an error: it may be meant for another version.
      write_line(fmt::format("gort: GORT_DEBUG: unknown key {}", key));
    }
  }
}

}  // namespace

std::size_t parse_memory_limit(std::string_view text) {
  if (text == "off") return kNoMemoryLimit;
  struct Unit {
    std::string_view name;
    unsigned shift;
  };
  constexpr Unit kUnits[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}};
  constexpr std::string_view kWanted = "a number with B, KiB, MiB, GiB or TiB, or off";
  std::string_view digits = text;
  unsigned shift = 0;
  for (const Unit& unit : kUnits) {
    if (digits.ends_with(unit.name)) {
      digits.remove_suffix(unit.name.size());
      shift = unit.shift;
      break;
    }
  }
  std::size_t number = 0;
  if (!parse_number(digits, number)) bad_value("GOMEMLIMIT", text, kWanted);
  if (number > (kNoMemoryLimit >> shift)) bad_value("GOMEMLIMIT", text, "less than 16 EiB");
  return number << shift;
}

Options Options::from_environment() {
  Options options;
  if (const char* text = std::getenv("GOGC"); text != nullptr && *text != '\0') {
    apply_gogc(options, text);
  }
  if (const char* text = std::getenv("GOMEMLIMIT"); text != nullptr && *text != '\0') {
    options.memory_limit = parse_memory_limit(text);
  }
  if (const char* text = std::getenv("GORT_DEBUG"); text != nullptr) apply_debug(options, text);
  return options;
}

}  // namespace gort
