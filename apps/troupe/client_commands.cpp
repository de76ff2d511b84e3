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
#include "apps/troupe/cluster_address.hpp"
#include "apps/troupe/commands.hpp"

namespace troupe {
namespace {

using clock = std::chrono::steady_clock;

/// What ask and chat share.
struct ask_options {
  std::string node = "127.0.0.1:4242";
  std::string prompt;
  std::string system;
  std::uint32_t max_tokens = 0;
  sampling_params sampling;
  std::vector<std::string> stop;
  bool quiet = false;
};

void add_node_option(CLI::App& command, std::string& node) {
  command.add_option("--node", node, "Any node, HOST:PORT; several with commas between, or a topology file: an answer goes on at another "
                     "node when one is lost")->capture_default_str()->envname("TROUPE_NODE");
}

void add_ask_options(CLI::App& command, ask_options& options) {
  add_node_option(command, options.node);
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

client reach(caf::actor_system& system, const std::string& address) {
  std::vector<endpoint> nodes;
  for (const auto& [host, port] : parse_nodes(address))
    nodes.push_back({host, port});
  return client::connect(system, nodes);
}

int run_ask(const ask_options& options) {
  auto prompt = options.prompt;
  if (prompt.empty()) prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (prompt.empty()) throw std::invalid_argument("the question is empty; give it as an argument or on standard input");
  system_config config;
  caf::actor_system system{config};
  auto cluster = reach(system, options.node);
  std::vector<chat_message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  messages.push_back({"user", prompt});
  stream_answer(cluster, options, std::move(messages));
  return 0;
}

int run_chat(const ask_options& options) {
  system_config config;
  caf::actor_system system{config};
  auto cluster = reach(system, options.node);
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
                      {"blocks", group.blocks},
                      {"block_tokens", group.block_tokens},
                      {"message", group.message},
                      {"ranks", std::move(ranks)}});
  }
  nlohmann::ordered_json nodes = nlohmann::ordered_json::array();
  for (const auto& node : status.view.nodes)
    nodes.push_back({{"name", node.name}, {"present", node.present}, {"message", node.message}});
  const auto& router = status.router;
  return {{"cluster", status.view.cluster},
          {"node", status.node},
          {"version", status.version},
          {"model", status.model},
          {"context", status.context_tokens},
          {"nodes", std::move(nodes)},
          {"groups", std::move(groups)},
          {"router",
           {{"live", router.live},
            {"accepted", router.accepted},
            {"refused", router.refused},
            {"completed", router.completed},
            {"failed", router.failed},
            {"cancelled", router.cancelled},
            {"draining", router.draining}}}};
}

void print_status(const node_status& status) {
  fmt::print("cluster {}  model {}  context {}  node {} (version {})\n", status.view.cluster, status.model,
             status.context_tokens, status.node, status.version);
  for (const auto& node : status.view.nodes)
    fmt::print("  node {:<12} {}{}\n", node.name, node.present ? "present" : "absent",
               node.message.empty() ? "" : "  " + node.message);
  for (const auto& group : status.view.groups) {
    fmt::print("  group {:<11} {}  epoch {}  {} blocks of {} tokens{}\n", group.name, to_string(group.phase),
               group.epoch, group.blocks, group.block_tokens, group.message.empty() ? "" : "  " + group.message);
    for (const auto& member : group.members)
      fmt::print("    rank {:<10} {}/{}  process {}\n", member.rank, member.node, member.device, member.process);
  }
  const auto& router = status.router;
  fmt::print("  requests          {} live, {} accepted, {} completed, {} refused, {} failed, {} cancelled\n",
             router.live, router.accepted, router.completed, router.refused, router.failed, router.cancelled);
}

int run_status(const std::string& node, bool json) {
  system_config config;
  caf::actor_system system{config};
  auto status = reach(system, node).status();
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
    std::string node = "127.0.0.1:4242";
    bool json = false;
  };
  auto status = std::make_shared<status_options>();
  auto* status_command = program.add_subcommand("status", "Who is in the cluster and what it does");
  add_node_option(*status_command, status->node);
  status_command->add_flag("--json", status->json, "One JSON object");
  status_command->callback([status, &exit_code] { exit_code = run_status(status->node, status->json); });
}

}  // namespace troupe
