// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "actors/network.hpp"
#include "actors/system_config.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/logging.hpp"
#include "apps/troupe/process_faults.hpp"
#include "apps/troupe/serving.hpp"
#include "runtime/trace/flight_folder.hpp"

namespace troupe {
namespace {

struct rank_command_options {
  std::string topology;
  std::string node;
  std::string log_level = "info";
  std::string trace_dir;
  std::uint16_t node_port = 0;
  bool insecure = false;
  rank_start start;
};

serving_extras make_extras(const rank_command_options& options, const cluster_file& file) {
  serving_extras extras;
  flight_recorder_options record;
  record.identity.role = fmt::format("rank {}", options.start.device);
  record.identity.node = options.node;
  record.folder = options.trace_dir;
  record.slots = 1U << 14U;
  if (!record.folder.empty()) {
    std::string problem;
    extras.recorder = begin_flight_record(std::move(record), problem);
    if (!problem.empty()) spdlog::warn("flight-record-in-memory reason=\"{}\"", problem);
  }
  if (file.allow_faults) extras.faults = process_faults();
  return extras;
}

int run_rank(const rank_command_options& options) {
  // Its node ends it; a signal from the terminal is the node's to answer.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  start_logging(fmt::format("rank {}/{}", options.node, options.start.device), options.log_level);
  auto file = load_cluster_file(options.topology, {options.insecure});
  auto model = read_model_bundle(file, bundle_parts::without_text);
  const auto* me = file.find_node(options.node);
  if (!me) throw std::invalid_argument("this topology file has no node " + options.node);
  const auto& host = me->cluster.host;
  auto extras = make_extras(options, file);

  system_config config{{.network = true, .threads = 0, .tls = file.tls}};
  caf::actor_system system{config};
  auto node = knock(system, host, options.node_port);
  if (!node)
    throw std::runtime_error(
        fmt::format("the node at {}:{} does not answer: {}", host, options.node_port, to_string(node.error())));
  auto recipe = make_rank_recipe(system, file, options.node, model, {}, extras);
  auto rank = spawn_rank(system, *node, recipe(options.start, *node));
  caf::scoped_actor self{system};
  self->wait_for(rank);
  std::fflush(nullptr);
  _exit(1);  // a rank never ends by itself but when its node is gone
}

}  // namespace

void add_rank_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<rank_command_options>();
  auto* command = program.add_subcommand("rank", "The rank of one device; started by troupe node")->group("");
  command->add_option("--topology", options->topology)->required();
  command->add_option("--node-port", options->node_port)->required();
  command->add_option("--node", options->node)->required();
  command->add_option("--device", options->start.device)->required();
  command->add_option("--incarnation", options->start.incarnation)->required();
  command->add_option("--log-level", options->log_level);
  command->add_option("--trace-dir", options->trace_dir);
  command->add_flag("--insecure", options->insecure);
  command->callback([options, &exit_code] { exit_code = run_rank(*options); });
}

}  // namespace troupe
