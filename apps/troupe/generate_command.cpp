// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/troupe/commands.hpp"
#include "apps/troupe/group_options.hpp"
#include "apps/troupe/local_cluster.hpp"
#include "apps/troupe/logging.hpp"

namespace troupe {
namespace {

struct generate_options {
  local_cluster_options cluster;
  std::string log_level = "error";
  std::vector<std::string> prompts;
  std::string prompt_ids;
  bool chat = false;
  bool json = false;
  sampling_params sampling;
  stop_conditions stops;
  std::vector<std::string> stop_strings;
};

constexpr std::size_t outstanding_max = 128;
constexpr std::size_t prompts_max = 1'000'000;

std::vector<prompt> read_prompt_ids(const std::string& path) {
  std::ifstream file{path};
  if (!file) throw std::invalid_argument(fmt::format("{} cannot be read", path));
  auto refuse = [&] {
    throw std::invalid_argument(
        fmt::format("{} must be a JSON array of arrays of token ids, for example [[1, 2, 3]]", path));
  };
  auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_array() || json.size() > prompts_max) refuse();
  std::vector<prompt> prompts;
  for (const auto& ids : json) {
    if (!ids.is_array()) refuse();
    prompt next;
    next.kind = prompt_kind::tokens;
    for (const auto& id : ids) {
      if (!id.is_number_integer() || id < 0 || id > 0x7fffffff) refuse();
      next.tokens.push_back(id);
    }
    prompts.push_back(std::move(next));
  }
  return prompts;
}

std::vector<prompt> collect_prompts(const generate_options& options) {
  if (options.prompts.empty() == options.prompt_ids.empty())
    throw std::invalid_argument("give either --prompt or --prompt-ids");
  if (!options.prompt_ids.empty()) return read_prompt_ids(options.prompt_ids);
  std::vector<prompt> prompts;
  for (const auto& text : options.prompts) {
    prompt next;
    next.kind = options.chat ? prompt_kind::chat : prompt_kind::text;
    if (options.chat)
      next.messages = {{"user", text}};
    else
      next.text = text;
    prompts.push_back(std::move(next));
  }
  return prompts;
}

/// Prints one answer; returns false when it ended with an error.
bool print_answer(std::size_t index, generation_stream& stream, bool json) {
  std::vector<token_id> ids;
  std::vector<float> logprobs;
  std::string text;
  answer_event last;
  for (const auto& event : stream) {
    for (const auto& token : event.tokens) {
      ids.push_back(token.token);
      logprobs.push_back(token.logprob);
    }
    text += event.text;
    last = event;
    if (!json) std::fwrite(event.text.data(), 1, event.text.size(), stdout);
  }
  const bool failed = last.finish == finish_reason::error;
  if (json) {
    nlohmann::ordered_json line{{"index", index},       {"prompt_tokens", stream.info().prompt_tokens},
                                {"ids", ids},           {"text", text},
                                {"logprobs", logprobs}, {"finish_reason", to_string(last.finish)}};
    if (failed) line["error"] = {{"code", last.error_code}, {"message", last.error}};
    fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    std::fputs("\n", stdout);
    if (failed) fmt::print(stderr, "error: {} ({})\n", last.error, last.error_code);
  }
  std::fflush(stdout);
  return !failed;
}

bool print_refusal(std::size_t index, const client_error& error, bool json) {
  if (json)
    fmt::print("{}\n", nlohmann::ordered_json{{"index", index},
                                              {"finish_reason", "error"},
                                              {"error", {{"code", error.code()}, {"message", error.what()}}}}
                           .dump());
  else
    fmt::print(stderr, "error: {} ({})\n", error.what(), error.code());
  return false;
}

int run_generate(const generate_options& options) {
  start_logging("generate", options.log_level);
  auto prompts = collect_prompts(options);
  local_cluster cluster{options.cluster, terminal_progress("loading")};
  auto connection = cluster.connect();
  struct outstanding {
    std::size_t index;
    generation_stream stream;
  };
  std::deque<outstanding> open;
  bool good = true;
  auto finish_oldest = [&] {
    good &= print_answer(open.front().index, open.front().stream, options.json);
    open.pop_front();
  };
  for (std::size_t index = 0; index < prompts.size(); ++index) {
    if (open.size() == outstanding_max) finish_oldest();
    generation what;
    what.prompt = std::move(prompts[index]);
    what.sampling = options.sampling;
    what.sampling.logprobs = 0;
    what.stops = options.stops;
    what.stop_strings = options.stop_strings;
    try {
      open.push_back({index, connection.generate(std::move(what))});
    } catch (const client_error& error) {
      while (!open.empty())
        finish_oldest();  // answers come out in the order of the prompts
      good &= print_refusal(index, error, options.json);
    }
  }
  while (!open.empty())
    finish_oldest();
  return good ? 0 : 1;
}

}  // namespace

void add_generate_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<generate_options>();
  auto* command =
      program.add_subcommand("generate", "Continue prompts without a server: the group runs in this process");
  add_group_options(*command, options->cluster, options->log_level);
  command->add_option("--prompt,-p", options->prompts, "Text to continue; may be given again")->allow_extra_args(false);
  command->add_option("--prompt-ids", options->prompt_ids, "File with a JSON array of arrays of token ids");
  command->add_flag("--chat", options->chat, "Each --prompt is a user's message, put into the model's chat template");
  options->stops.max_tokens = 128;
  command
      ->add_option("--max-tokens", options->stops.max_tokens,
                   "Most tokens of an answer; 0: up to the end of the context")
      ->capture_default_str();
  options->sampling.temperature = 0;
  options->sampling.seed = std::random_device{}();
  command->add_option("--temperature", options->sampling.temperature, "0: always the most likely token")
      ->capture_default_str();
  command->add_option("--top-k", options->sampling.top_k, "0: all")->capture_default_str();
  command->add_option("--top-p", options->sampling.top_p)->capture_default_str();
  command->add_option("--min-p", options->sampling.min_p)->capture_default_str();
  command->add_option("--repetition-penalty", options->sampling.repetition_penalty)->capture_default_str();
  command->add_option("--presence-penalty", options->sampling.presence_penalty)->capture_default_str();
  command->add_option("--frequency-penalty", options->sampling.frequency_penalty)->capture_default_str();
  command->add_option("--seed", options->sampling.seed, "Same seed, same text; drawn at random when not given");
  command->add_option("--stop", options->stop_strings, "Ends an answer before this text; may be given again")
      ->allow_extra_args(false);
  command->add_flag("--ignore-eos", options->stops.ignore_eos, "Go on to --max-tokens");
  command->add_flag("--json", options->json,
                    "One JSON line a prompt: index, prompt_tokens, ids, text, logprobs, finish_reason");
  command->callback([options, &exit_code] { exit_code = run_generate(*options); });
}

}  // namespace troupe
