// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "actors/client.hpp"
#include "actors/network.hpp"
#include "actors/system_config.hpp"
#include "apps/gateway/gateway.hpp"
#include "apps/gateway/reply_stream.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/file_generation_store.hpp"
#include "apps/troupe/logging.hpp"
#include "apps/troupe/model_checksums.hpp"
#include "apps/troupe/node_memory.hpp"
#include "apps/troupe/open_files.hpp"
#include "apps/troupe/process_faults.hpp"
#include "apps/troupe/process_launcher.hpp"
#include "apps/troupe/serving.hpp"
#include "apps/troupe/signals.hpp"
#include "apps/troupe/user_folders.hpp"
#include "runtime/trace/flight_folder.hpp"

namespace troupe {
namespace {

constexpr std::chrono::seconds drain_time{5};
constexpr std::size_t control_files = 32;  // open files that HTTP clients never take from the rest

struct node_command_options {
  std::string topology;
  std::string name;
  std::string log_level = "info";
  std::string ready_file;
  std::filesystem::path state_dir;
  std::string trace_dir;
  std::string journal;
  bool insecure = false;
};

std::shared_ptr<rank_launcher> make_launcher(caf::actor_system& system, const node_command_options& options,
                                             const cluster_file& file, const std::string& name,
                                             const model_bundle& model, std::uint16_t port,
                                             const serving_extras& extras) {
  if (file.isolation == isolation_mode::thread)
    return std::make_shared<thread_launcher>(system, make_rank_recipe(system, file, name, model, {}, extras));
  std::vector<std::string> arguments{"rank",        "--topology",         options.topology, "--node",         name,
                                     "--node-port", std::to_string(port), "--log-level",    options.log_level};
  if (!extras.flight_folder.empty()) {
    arguments.emplace_back("--trace-dir");
    arguments.push_back(extras.flight_folder.string());
  }
  if (options.insecure) arguments.emplace_back("--insecure");
  return std::make_shared<process_launcher>(std::move(arguments));
}

std::filesystem::path state_folder_of(const node_command_options& options, const cluster_file& file) {
  return options.state_dir.empty() ? default_state_folder(file.cluster) : options.state_dir;
}

std::shared_ptr<generation_store> make_store(const node_command_options& options, const cluster_file& file) {
  auto folder = state_folder_of(options, file);
  if (folder.empty()) throw std::invalid_argument("there is no HOME to keep the cluster's state in; give --state-dir");
  return std::make_shared<file_generation_store>(std::move(folder));
}

/// For scripts: where the node serves, written at once when it does.
void write_ready_file(const std::string& path, const std::string& host, std::uint16_t port, const std::string& http) {
  auto draft = path + ".new";
  std::ofstream{draft} << nlohmann::ordered_json{{"node", fmt::format("{}:{}", host, port)},
                                                 {"http", http},
                                                 {"process", getpid()}}
                       << "\n";
  std::rename(draft.c_str(), path.c_str());
}

/// The node's HTTP side.
class http_front {
 public:
  http_front(caf::actor_system& system, const serving& actors, const model_bundle& model, const node_spec& me,
             std::size_t open_files, const std::string& journal_path)
      : service_(system, actors.node,
                 // The CPU engine's tokens depend on neither batch nor chunk, so that a resumed answer has the same.
                 {model.name, std::time(nullptr), model.context_tokens, model.facts().vocabulary_size, "bit-exact"},
                 model.text->vocabulary(), journal_path),
        server_(options_of(me, open_files), service_) {}

  gateway& server() { return server_; }

 private:
  static gateway_options options_of(const node_spec& me, std::size_t open_files) {
    gateway_options options;
    auto& connections = options.limits.connections;
    connections = std::min(connections, open_files / 2 > control_files ? open_files / 2 - control_files : 1);
    options.address = me.http->host;
    options.port = me.http->port;
    if (!me.api_key_file.empty()) options.keys = load_api_keys(me.api_key_file);
    options.log = [](const std::string& line) { spdlog::debug("{}", line); };
    return options;
  }

  reply_stream service_;
  gateway server_;
};

const node_spec& pick_node(const cluster_file& file, const std::string& name) {
  if (name.empty() && file.nodes.size() == 1) return file.nodes.front();
  if (const auto* found = file.find_node(name)) return *found;
  std::string names;
  for (const auto& node : file.nodes)
    names += (names.empty() ? "" : ", ") + node.name;
  throw std::invalid_argument(
      fmt::format("the topology file has no node '{}'; give --name with one of: {}", name, names));
}

struct serve_end {
  int code = 0;
  bool at_once = false;  ///< by a second signal: nothing more is waited for
};

/// Says once a minute that the cluster is open to everybody who reaches it, as --insecure allows.
class openness_warning {
 public:
  explicit openness_warning(const cluster_file& file) {
    for (const auto& node : file.nodes)
      if (!file.tls && !is_loopback(node.cluster.host)) address_ = to_string(node.cluster);
  }
  void look() {
    auto now = std::chrono::steady_clock::now();
    if (address_.empty() || now < next_) return;
    spdlog::warn("cluster-insecure address={} reason=\"no TLS: whoever reaches this port can do anything\"", address_);
    next_ = now + std::chrono::minutes(1);
  }

 private:
  std::string address_;  ///< empty: nothing to warn of
  std::chrono::steady_clock::time_point next_;
};

/// Waits for the group, then for a signal or the node's end.
serve_end serve(caf::actor_system& system, const serving& actors, openness_warning openness,
                const std::function<void()>& when_ready, const std::function<void()>& when_draining) {
  caf::scoped_actor self{system};
  self->monitor(actors.node);
  std::optional<caf::error> end;
  auto ended = [&] {
    self->receive([&](const caf::down_msg& down) { end = down.reason; },
                  caf::after(std::chrono::milliseconds(0)) >> [] {});
    return end.has_value();
  };
  bool ready = false;
  client local{system, actors.node};
  auto interrupted = wait_for_stop_signal([&] {
    if (ended()) return true;
    openness.look();
    if (!ready && local.wait_until_ready(std::chrono::milliseconds(1))) {
      ready = true;
      when_ready();
    }
    return false;
  });
  if (interrupted) {
    when_draining();
    self->send(actors.node, drain{});
    if (wait_for_stop_signal(ended)) {
      spdlog::warn("node-stopped-at-once reason=\"second signal\"");
      return {1, true};
    }
  }
  if (!*end) return {};
  spdlog::error("node-ended reason=\"{}\"", describe(*end));
  return {1, false};
}

/// The node's own flight record, in a folder that its ranks use too.
serving_extras make_extras(const node_command_options& options, const cluster_file& file, const node_spec& me) {
  serving_extras extras;
  if (!options.trace_dir.empty())
    extras.flight_folder = options.trace_dir;
  else if (auto state = state_folder_of(options, file); !state.empty())
    extras.flight_folder = state / me.name / "flight";
  flight_recorder_options record;
  record.identity.role = std::string{"node"};
  record.identity.node = me.name;
  record.folder = extras.flight_folder;
  std::string problem;
  extras.recorder = begin_flight_record(std::move(record), problem);
  if (!problem.empty()) {
    spdlog::warn("flight-record-in-memory reason=\"{}\"", problem);
    extras.flight_folder.clear();
  }
  if (file.allow_faults) extras.faults = process_faults();
  return extras;
}

int run_node(const node_command_options& options) {
  block_stop_signals();
  auto file = load_cluster_file(options.topology, {options.insecure});
  const auto& me = pick_node(file, options.name);
  start_logging("node " + me.name, options.log_level);
  if (!options.ready_file.empty()) std::remove(options.ready_file.c_str());  // of an earlier run
  const auto open_files = raise_open_files();
  check_served(file);
  if (file.allow_faults) spdlog::warn("faults-allowed node={} reason=\"the topology file says allow_faults\"", me.name);
  verify_checksums(file.model);
  auto model = read_model_bundle(file);
  for (const auto& group : file.groups)
    plan_shards(group, shape_of(model.config));
  plan_node_memory(file, model, me.name);

  system_config config{{.network = true, .threads = 0, .tls = file.tls}};
  caf::actor_system system{config};
  // The port must be known before ranks are launched, so the launcher is made in between.
  auto launcher = std::make_shared<late_launcher>();
  auto extras = make_extras(options, file, me);
  serving_scope actors{spawn_serving(system, file, model, me.name, launcher, make_store(options, file), extras)};
  auto port = open_door(system, actors->node, me.cluster.host, me.cluster.port);
  if (!port)
    throw std::runtime_error(
        fmt::format("{} cannot be opened ({}); is another node running there? Give node {} another port",
                    to_string(me.cluster), to_string(port.error()), me.name));
  launcher->become(make_launcher(system, options, file, me.name, model, *port, extras));
  std::unique_ptr<http_front> http;
  if (me.http) http = std::make_unique<http_front>(system, *actors, model, me, open_files, options.journal);
  auto http_address = http ? to_string(host_port{me.http->host, http->server().port()}) : std::string{"none"};
  actors->start();
  spdlog::info("node-started node={} cluster={} model={} address={}:{}", me.name, file.cluster, model.name,
               me.cluster.host, *port);
  auto end = serve(
      system, *actors, openness_warning{file},
      [&] {
        spdlog::info("node-ready node={} address={}:{} http={}", me.name, me.cluster.host, *port, http_address);
        if (!options.ready_file.empty())
          write_ready_file(options.ready_file, me.cluster.host, *port, http ? http_address : "");
      },
      [&] {
        if (http) http->server().drain();
      });
  if (http && !end.at_once) http->server().wait_drained(drain_time);  // the last bytes of the last answers
  std::fflush(nullptr);
  _exit(end.code);  // every actor that ever talked to another machine is still registered; nothing is left to save
}

}  // namespace

void add_node_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<node_command_options>();
  auto* command = program.add_subcommand("node", "Serve: supervise this machine's ranks and take requests");
  command->add_option("--topology,-t", options->topology, "The topology file");
  command->add_option("--name,-n", options->name, "Which node of the file this is; may be left out when it has one");
  command->add_option("--log-level", options->log_level, "trace, debug, info, warning or error")->capture_default_str();
  command->add_option("--ready-file", options->ready_file, "Written with the addresses, as JSON, when the node serves");
  command->add_option("--state-dir", options->state_dir,
                      "Where a node keeps what must outlive it; $XDG_STATE_HOME/troupe/CLUSTER when not given");
  command->add_option("--trace-dir", options->trace_dir,
                      "Folder of the flight records; NODE/flight in the state folder when not given");
  command->add_option("--journal", options->journal,
                      "File in which HTTP requests are kept until they end; a node that starts again finishes them");
  command->add_flag("--insecure", options->insecure, "Allow addresses other than loopback without TLS and API key");
  add_change_commands(*command, exit_code);
  command->callback([options, command, &exit_code] {
    if (!command->get_subcommands().empty()) return;
    if (options->topology.empty()) throw CLI::RequiredError("--topology");
    exit_code = run_node(*options);
  });
}

}  // namespace troupe
