// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "apps/troupe/commands.hpp"
#include "apps/troupe/tokenize_command.hpp"

namespace troupe {

void add_tokenize_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<tokenize_options>();
  auto* command = program.add_subcommand("tokenize", "Text to token ids, or back: one JSON value a line in and out");
  command->add_option("--model,-m", options->model, "Hugging Face model folder")->required();
  command->add_flag("--decode", options->decode, "Arrays of ids in, strings out");
  command->add_flag("--add-special-tokens", options->add_special_tokens,
                    "Encode with what the model puts around a text");
  command->add_flag("--skip-special-tokens", options->skip_special, "Decode without special tokens");
  command->callback([options, &exit_code] { exit_code = tokenize_command(*options, std::cin, std::cout, std::cerr); });
}

}  // namespace troupe
