// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "actors/client.hpp"
#include "actors/system_config.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/connection_options.hpp"
#include "runtime/trace/trace_event.hpp"
#include "topology/epoch_number.hpp"

namespace troupe {
namespace {

using clock = std::chrono::steady_clock;

/// What ask and chat share.
struct ask_options {
  connection_options connection;
  std::string prompt;
  std::string system;
  std::uint32_t max_tokens = 0;
  sampling_params sampling;
  std::vector<std::string> stop;
  bool quiet = false;
  bool verbose = false;
};

void add_ask_options(CLI::App& command, ask_options& options) {
  add_connection_options(command, options.connection);
  command.add_option("--system", options.system, "System message");
  command.add_option("--max-tokens", options.max_tokens, "Most tokens of an answer; 0: up to the end of the context");
  options.sampling.temperature = 0;
  command.add_option("--temperature", options.sampling.temperature, "0: always the most likely token")
      ->capture_default_str();
  command.add_option("--top-p", options.sampling.top_p)->capture_default_str();
  command.add_option("--top-k", options.sampling.top_k)->capture_default_str();
  command.add_option("--min-p", options.sampling.min_p)->capture_default_str();
  command.add_option("--seed", options.sampling.seed, "Same seed, same text; drawn at random when not given");
  command.add_option("--stop", options.stop, "Ends the answer before this text; may be given again")
      ->allow_extra_args(false);
  command.add_flag("--verbose,-v", options.verbose, "Say the request's id first, which `troupe trace` takes");
  command.add_flag("--quiet,-q", options.quiet, "Only the answer, no figures");
}

generation make_generation(const ask_options& options, std::vector<chat_message> messages) {
  generation what;
  what.prompt.kind = prompt_kind::chat;
  what.prompt.messages = std::move(messages);
  what.sampling = options.sampling;
  what.stops.max_tokens = options.max_tokens;
  what.stop_strings = options.stop;
  return what;
}

/// Streams an answer to standard output and returns it; figures go to standard error.
std::string stream_answer(client& cluster, const ask_options& options, std::vector<chat_message> messages) {
  auto begin = clock::now();
  auto stream = cluster.generate(make_generation(options, std::move(messages)));
  if (options.verbose) fmt::print(stderr, "[request {}]\n", to_string(trace_key_of(stream.info().request)));
  std::string text;
  clock::time_point first{};
  std::size_t tokens = 0;
  for (const auto& event : stream) {
    if (tokens == 0 && !event.tokens.empty()) first = clock::now();
    tokens += event.tokens.size();
    text += event.text;
    std::fwrite(event.text.data(), 1, event.text.size(), stdout);
    std::fflush(stdout);
    if (event.finish == finish_reason::error) throw client_error(event.error_code, event.error);
    if (event.finish == finish_reason::none) continue;
    std::fputs("\n", stdout);
    if (options.quiet) continue;
    std::chrono::duration<double> whole = clock::now() - begin;
    std::chrono::duration<double, std::milli> wait = first - begin;
    fmt::print(stderr, "[{} prompt tokens ({} reused), {} tokens, first after {:.1f} ms", event.usage.prompt_tokens,
               event.usage.cached_tokens, event.usage.completion_tokens, wait.count());
    fmt::print(stderr, ", {:.1f} tok/s from question to end, finish: {}]\n",
               static_cast<double>(tokens) / whole.count(), to_string(event.finish));
  }
  return text;
}

int run_ask(const ask_options& options) {
  auto prompt = options.prompt;
  if (prompt.empty()) prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (prompt.empty()) throw std::invalid_argument("the question is empty; give it as an argument or on standard input");
  auto target = resolve(options.connection);
  system_config config{target.system()};
  caf::actor_system system{config};
  auto cluster = reach(system, target);
  std::vector<chat_message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  messages.push_back({"user", prompt});
  stream_answer(cluster, options, std::move(messages));
  return 0;
}

int run_chat(const ask_options& options) {
  auto target = resolve(options.connection);
  system_config config{target.system()};
  caf::actor_system system{config};
  auto cluster = reach(system, target);
  const bool person = isatty(STDIN_FILENO) != 0;
  if (person)
    fmt::print(stderr, "Talking to {}. /reset forgets the conversation, /exit ends it.\n", cluster.status().model);
  std::vector<chat_message> start;
  if (!options.system.empty()) start.push_back({"system", options.system});
  auto messages = start;
  std::string line;
  for (;;) {
    if (person) fmt::print(stderr, "> ");
    if (!std::getline(std::cin, line) || line == "/exit") return 0;
    if (line.empty()) continue;
    if (line == "/reset") {
      messages = start;
      continue;
    }
    messages.push_back({"user", line});
    try {
      messages.push_back({"assistant", stream_answer(cluster, options, messages)});
    } catch (const client_error& error) {
      messages.pop_back();  // the conversation goes on without this turn
      fmt::print(stderr, "error: {} ({})\n", error.what(), error.code());
    }
  }
}

nlohmann::ordered_json places_of(const node_view& node) {
  nlohmann::ordered_json places = nlohmann::ordered_json::array();
  for (const auto& place : node.places)
    places.push_back({{"device", place.device},
                      {"spare", place.spare},
                      {"phase", to_string(place.phase)},
                      {"message", place.message}});
  return places;
}

nlohmann::ordered_json to_json(const node_status& status) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  for (const auto& group : status.view.groups) {
    nlohmann::ordered_json ranks = nlohmann::ordered_json::array();
    for (const auto& member : group.members)
      ranks.push_back({{"rank", member.rank},
                       {"node", member.node},
                       {"device", member.device},
                       {"incarnation", member.incarnation},
                       {"process", member.process}});
    groups.push_back({{"name", group.name},
                      {"phase", to_string(group.phase)},
                      {"epoch", group.epoch},
                      {"epoch_text", epoch_text(group.epoch)},
                      {"tensor", group.tensor},
                      {"pipeline", group.pipeline},
                      {"full", group.full},
                      {"draining", group.draining},
                      {"blocks", group.blocks},
                      {"block_tokens", group.block_tokens},
                      {"message", group.message},
                      {"ranks", std::move(ranks)}});
  }
  nlohmann::ordered_json nodes = nlohmann::ordered_json::array();
  for (const auto& node : status.view.nodes)
    nodes.push_back({{"name", node.name},
                     {"present", node.present},
                     {"draining", node.draining},
                     {"message", node.message},
                     {"places", places_of(node)}});
  const auto& counts = status.view.counts;
  const auto& router = status.router;
  return {{"cluster", status.view.cluster},
          {"node", status.node},
          {"version", status.version},
          {"model", status.model},
          {"context", status.context_tokens},
          {"nodes", std::move(nodes)},
          {"groups", std::move(groups)},
          {"generation", status.view.generation},
          {"alarm", status.view.alarm},
          {"membership",
           {{"epochs", counts.epochs},
            {"ends", counts.ends},
            {"lease_waits", counts.lease_waits},
            {"lease_waits_skipped", counts.lease_waits_skipped},
            {"spares_used", counts.spares_used},
            {"shrinks", counts.shrinks},
            {"growths", counts.growths},
            {"generations_raised", counts.generations_raised}}},
          {"router",
           {{"live", router.live},
            {"accepted", router.accepted},
            {"refused", router.refused},
            {"completed", router.completed},
            {"failed", router.failed},
            {"cancelled", router.cancelled},
            {"stale_dropped", router.stale_dropped},
            {"moved", router.moved},
            {"resumed", router.resumed},
            {"trials", router.trials},
            {"poisoned", router.poisoned},
            {"inconsistent", router.inconsistent},
            {"draining", router.draining}}}};
}

void print_status(const node_status& status) {
  fmt::print("cluster {}  model {}  context {}  node {} (version {})\n", status.view.cluster, status.model,
             status.context_tokens, status.node, status.version);
  if (!status.view.alarm.empty()) fmt::print("  ALARM  {}\n", status.view.alarm);
  for (const auto& node : status.view.nodes) {
    fmt::print("  node {:<12} {}{}\n", node.name, node.present ? "present" : "absent",
               node.message.empty() ? "" : "  " + node.message);
    for (const auto& place : node.places)
      if (place.spare || place.phase >= rank_phase::failed)
        fmt::print("    {}{:<12} {}{}\n", place.spare ? "spare " : "", place.device, to_string(place.phase),
                   place.message.empty() ? "" : "  " + place.message);
  }
  for (const auto& group : status.view.groups) {
    fmt::print("  group {:<11} {}{}  epoch {}  tensor {} x pipeline {}  {} blocks of {} tokens{}\n", group.name,
               to_string(group.phase), group.draining ? ", draining" : "", epoch_text(group.epoch), group.tensor,
               group.pipeline, group.blocks, group.block_tokens, group.message.empty() ? "" : "  " + group.message);
    for (const auto& member : group.members)
      fmt::print("    rank {:<10} {}/{}  process {}\n", member.rank, member.node, member.device, member.process);
  }
  const auto& router = status.router;
  fmt::print("  requests          {} live, {} accepted, {} completed, {} refused, {} failed, {} cancelled\n",
             router.live, router.accepted, router.completed, router.refused, router.failed, router.cancelled);
  fmt::print("  recovery          {} moved to another epoch, {} resumed by clients, {} trials, {} poisoned\n",
             router.moved, router.resumed, router.trials, router.poisoned);
}

int run_status(const connection_options& connection, bool json) {
  auto target = resolve(connection);
  system_config config{target.system()};
  caf::actor_system system{config};
  auto status = reach(system, target).status();
  if (json)
    fmt::print("{}\n", to_json(status).dump());
  else
    print_status(status);
  return 0;
}

}  // namespace

void add_client_commands(CLI::App& program, int& exit_code) {
  auto ask = std::make_shared<ask_options>();
  ask->sampling.seed = std::random_device{}();
  auto* ask_command = program.add_subcommand("ask", "Ask one question and stream the answer");
  add_ask_options(*ask_command, *ask);
  ask_command->add_option("prompt", ask->prompt, "The question; read from standard input when not given");
  ask_command->callback([ask, &exit_code] { exit_code = run_ask(*ask); });

  auto chat = std::make_shared<ask_options>();
  chat->sampling.seed = std::random_device{}();
  auto* chat_command = program.add_subcommand("chat", "Talk; /reset forgets the conversation, /exit ends it");
  add_ask_options(*chat_command, *chat);
  chat_command->callback([chat, &exit_code] { exit_code = run_chat(*chat); });

  struct status_options {
    connection_options connection;
    bool json = false;
  };
  auto status = std::make_shared<status_options>();
  auto* status_command = program.add_subcommand("status", "Who is in the cluster and what it does");
  add_connection_options(*status_command, status->connection);
  status_command->add_flag("--json", status->json, "One JSON object");
  status_command->callback([status, &exit_code] { exit_code = run_status(status->connection, status->json); });
}

}  // namespace troupe
