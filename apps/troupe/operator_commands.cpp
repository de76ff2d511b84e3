// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/client.hpp"
#include "actors/system_config.hpp"
#include "apps/troupe/cluster_address.hpp"
#include "apps/troupe/commands.hpp"

namespace troupe {
namespace {

constexpr std::chrono::seconds answer_limit{10};
constexpr std::chrono::milliseconds look_again{200};

struct operator_options {
  std::string node = "127.0.0.1:4242";
  std::string name;
  bool undo = false;
  std::uint32_t limit_s = 120;
};

void add_common(CLI::App& command, operator_options& options) {
  command.add_option("--node", options.node, "Address of any node, HOST:PORT")
      ->capture_default_str()
      ->envname("TROUPE_NODE");
}

/// Asks a node and waits for its word; throws client_error.
template <class Message>
void tell(caf::actor_system& system, const client& cluster, Message message) {
  caf::scoped_actor self{system};
  self->request(cluster.node(), answer_limit, std::move(message))
      .receive([] {}, [](const caf::error& reason) { throw client_error(code_name(reason), describe(reason)); });
}

client reach(caf::actor_system& system, const std::string& address) {
  auto [host, port] = parse_address(address);
  return client::connect(system, host, port);
}

/// Prints `progress` whenever it is another one, until it is empty.
template <class Progress>
void watch(const client& cluster, std::uint32_t limit_s, Progress progress) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(limit_s);
  std::string last;
  for (;;) {
    auto now = progress(cluster.status().view);
    if (now.empty()) return;
    if (now != last) fmt::print("{}\n", now);
    std::fflush(stdout);
    last = std::move(now);
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error(fmt::format("not done within {} s; it goes on by itself: {}", limit_s, last));
    std::this_thread::sleep_for(look_again);
  }
}

std::string progress_of_drain(const cluster_view& view, const std::string& name) {
  for (const auto& group : view.groups)
    if (group.name == name)
      return group.phase == group_phase::drained
                 ? std::string{}
                 : fmt::format("group {}: {}", name, group.message.empty() ? to_string(group.phase) : group.message);
  for (const auto& node : view.nodes)
    if (node.name == name)
      return node.message.starts_with("drained") || !node.present ? std::string{}
                                                                  : fmt::format("node {}: {}", name, node.message);
  return {};
}

int run_drain(const operator_options& options) {
  system_config config;
  caf::actor_system system{config};
  auto cluster = reach(system, options.node);
  tell(system, cluster, drain_place{options.name, options.undo});
  if (!options.undo)
    watch(cluster, options.limit_s, [&](const cluster_view& view) { return progress_of_drain(view, options.name); });
  fmt::print("{} is {}\n", options.name, options.undo ? "in use again" : "drained");
  return 0;
}

int run_restart(const operator_options& options) {
  system_config config;
  caf::actor_system system{config};
  tell(system, reach(system, options.node), restart_rank{options.name});
  return 0;
}

/// What of the changed file is not as it is to be yet.
std::string progress_of_change(const cluster_view& view, const cluster_file& file) {
  std::string out;
  auto add = [&](const std::string& word) { out += (out.empty() ? "waiting for " : ", ") + word; };
  auto listed = [](const auto& list, const std::string& name) {
    for (const auto& x : list)
      if (x.name == name) return true;
    return false;
  };
  if (view.fingerprint != file.fingerprint) add("the new file");
  for (const auto& node : view.nodes)
    if (!listed(file.nodes, node.name)) add(fmt::format("node {} to leave", node.name));
  for (const auto& group : view.groups)
    if (!listed(file.groups, group.name))
      add(fmt::format("group {} to leave ({})", group.name, group.message));
    else if (group.phase != group_phase::serving && group.phase != group_phase::drained)
      add(fmt::format("group {} to serve ({})", group.name, group.message));
  return out;
}

struct change_options {
  std::string node = "127.0.0.1:4242";
  std::string topology;
  bool insecure = false;
  std::uint32_t limit_s = 120;
};

int run_change(const change_options& options, change_kind kind) {
  auto file = load_cluster_file(options.topology, {options.insecure});  // its problems are better told here
  std::ostringstream text;
  text << std::ifstream{options.topology}.rdbuf();
  system_config config;
  caf::actor_system system{config};
  auto cluster = reach(system, options.node);
  tell(system, cluster, change_topology{kind, text.str()});
  watch(cluster, options.limit_s, [&](const cluster_view& view) { return progress_of_change(view, file); });
  fmt::print(
      "{} nodes, {} groups and {} spares are in force; put the same file in place on every machine, for nodes "
      "that start later\n",
      file.nodes.size(), file.groups.size(), file.spares.size());
  return 0;
}

}  // namespace

void add_operator_commands(CLI::App& program, int& exit_code) {
  auto drain = std::make_shared<operator_options>();
  auto* drain_command = program.add_subcommand("drain", "Take a node or group out of use; nothing is dropped");
  add_common(*drain_command, *drain);
  drain_command->add_option("name", drain->name, "The node or group")->required();
  drain_command->add_flag("--undo", drain->undo, "Take it back into use");
  drain_command->add_option("--limit", drain->limit_s, "Seconds to wait for it")->capture_default_str();
  drain_command->callback([drain, &exit_code] { exit_code = run_drain(*drain); });

  auto restart = std::make_shared<operator_options>();
  auto* restart_command = program.add_subcommand("restart", "Start the rank of a place that is down again");
  add_common(*restart_command, *restart);
  restart_command->add_option("place", restart->name, "NODE/DEVICE:INDEX, such as a/cpu:0")->required();
  restart_command->callback([restart, &exit_code] { exit_code = run_restart(*restart); });
}

void add_change_commands(CLI::App& node_command, int& exit_code) {
  auto add = [&](const char* verb, change_kind kind, const char* what) {
    auto options = std::make_shared<change_options>();
    auto* command = node_command.add_subcommand(verb, what);
    command->add_option("--node", options->node, "Address of any node, HOST:PORT")
        ->capture_default_str()
        ->envname("TROUPE_NODE");
    command->add_option("file", options->topology, "The new topology file")->required();
    command->add_option("--limit", options->limit_s, "Seconds to wait until it is in force")->capture_default_str();
    command->add_flag("--insecure", options->insecure, "As the nodes were started");
    command->callback([options, kind, &exit_code] { exit_code = run_change(*options, kind); });
  };
  add("add", change_kind::add, "Give the running cluster a file with more nodes, groups or spares");
  add("remove", change_kind::remove, "Give the running cluster a file with fewer nodes, groups or spares");
}

}  // namespace troupe
