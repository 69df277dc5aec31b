#include <gort/tools/gortstat/command.h>

#include <CLI/CLI.hpp>

namespace gort::tool {

void add_output_option(CLI::App& command, std::string& path) {
  command.add_option("-o,--output", path, "write to FILE; -: standard output")
      ->type_name("FILE")
      ->check([](const std::string& given) {
        return given.empty() ? std::string("the file name is empty") : std::string();
      });
}

}  // namespace gort::tool
