// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/trial.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "tests/simulation/trial/audit.hpp"
#include "tests/simulation/trial/client.hpp"
#include "tests/simulation/trial/cluster.hpp"
#include "tests/simulation/trial/faults.hpp"
#include "tests/simulation/trial/wire_watch.hpp"
#include "tests/simulation/world/world.hpp"

namespace troupe::simulation {
namespace {

constexpr std::uint64_t messages_max = 2'000'000;  // more than any sound run needs: a livelock

class trial {
 public:
  trial(const trial_options& options, bool tracing)
      : options_(options),
        world_(options.seed, options.links(), static_cast<double>(options.overtaking) / 1000),
        watcher_(world_.time(), options.vocabulary, options.blocks * block_tokens, tracing),
        wires_(world_.time(), watcher_),
        cluster_(world_, watcher_, options),
        faults_(world_, cluster_, watcher_, options, clients_) {
    if (options.spikes > 0) watcher_.messages_may_be_late();
    listen();
  }

  ~trial() {
    cluster_.let_go();
    world_.end();
  }
  trial(const trial&) = delete;
  trial& operator=(const trial&) = delete;

  trial_result run() {
    for (auto& node : cluster_.nodes())
      cluster_.start_node(node);
    for (std::uint64_t i = 0; i < options_.clients; ++i)
      clients_.push_back(&start_client(world_, watcher_, options_, i));
    faults_.begin();
    auto busy_until = beginning + ms(options_.busy());
    pass_until(busy_until, [] { return false; });
    faults_.end();
    watcher_.note("faults are over");
    auto limit = busy_until + std::chrono::seconds(60);
    while (world_.now() < limit && !ok_to_end() && !watcher_.first_violation()) {
      pass_until(world_.now() + ms(500), [] { return false; });
      cluster_.keep_nodes_up();
      if (++rounds_ % 10 == 0) cluster_.restart_places();
    }
    if (!watcher_.first_violation() && !requests_ended()) watcher_.broken("I14", what_is_open());
    if (!watcher_.first_violation() && !groups_serve())
      watcher_.broken("I14-groups", watcher_.why_not_serving(living()));
    if (!watcher_.first_violation()) look_for_leaks(limit);
    watcher_.check_cost(wires_.tokens_placed());
    return result();
  }

 private:
  void listen() {
    world_.wires().on_send = [this](const process& from, const process& to, const caf::message& payload) {
      wires_.sent(from, to, payload);
    };
    world_.wires().on_deliver = [this](const process& to, const frame&, const caf::message& payload) {
      if (watcher_.tracing()) watcher_.note(fmt::format("-> {} {}", to.name(), shorten(to_string(payload))));
      wires_.delivered(to, payload);
    };
    world_.wires().repeat = [this](const caf::message& payload) {
      // Announcements are made again and again anyway: one more of the same must change nothing.
      auto announcement = payload.match_elements<cluster_view>() || payload.match_elements<join_group>() ||
                          payload.match_elements<rank_reported>();
      if (!announcement || !repeats_.chance(static_cast<double>(options_.duplicate) / 1000)) return false;
      watcher_.probes().hit(probe::duplicate_injected);
      return true;
    };
    world_.wires().on_complaint = [this](const std::string& what) { watcher_.broken("wire", what); };
  }

  static std::string shorten(std::string text) {
    constexpr std::size_t longest = 240;
    if (text.size() > longest) text.replace(longest, text.size(), "...");
    return text;
  }

  template <class Predicate>
  void pass_until(instant end, Predicate done) {
    world_.time().at(end, [] {});
    while (world_.now() < end && !done() && !watcher_.first_violation() && world_.step())
      if (world_.messages() > messages_max) return watcher_.broken("I14", "the run does not come to an end");
  }

  /// Nothing is left of requests that have ended; what belongs to a client that died ends when it cannot return.
  void look_for_leaks(instant limit) {
    std::string left;
    do {
      auto books = std::make_shared<audit>();
      for (const auto& node : cluster_.nodes())
        if (node.home != nullptr) start_audit(*node.home, node.node, books);
      pass_until(world_.now() + ms(200), [] { return false; });
      left = books->describe(cluster_.nodes().size());
    } while (!left.empty() && world_.now() < limit && !watcher_.first_violation());
    if (!left.empty() && !watcher_.first_violation()) watcher_.broken("I14-leaks", left);
  }

  bool ok_to_end() { return requests_ended() && groups_serve(); }

  bool requests_ended() {
    return std::all_of(watcher_.requests().begin(), watcher_.requests().end(),
                       [this](const auto& request) { return request.done() || !clients_[request.client]->alive(); });
  }

  bool groups_serve() { return watcher_.why_not_serving(living()).empty(); }

  std::set<std::uint32_t> living() {
    std::set<std::uint32_t> ids;
    for (const auto& node : cluster_.nodes())
      if (node.home != nullptr && node.home->alive()) ids.insert(node.home->id());
    return ids;
  }

  std::string what_is_open() {
    std::string text;
    for (const auto& request : watcher_.requests())
      if (!request.done() && clients_[request.client]->alive())
        text += fmt::format("request {} has not ended; ", request.number);
    return text + watcher_.why_not_serving(living());
  }

  trial_result result() {
    trial_result r;
    r.broken = watcher_.first_violation();
    watcher_.probes().of[static_cast<std::size_t>(probe::connection_lost)] += world_.wires().lost_connections;
    r.probes = watcher_.probes();
    r.trace_hash = world_.trace_hash();
    r.messages = world_.messages();
    r.frames = world_.wires().frames;
    r.requests = watcher_.requests().size();
    r.tokens = watcher_.tokens_delivered;
    r.faults = draw_faults(options_).size();
    r.simulated_seconds = seconds_of(world_.now());
    r.notes = watcher_.notes();
    return r;
  }

  trial_options options_;
  random_stream repeats_{options_.seed, "repeats"};
  world world_;
  observer watcher_;
  wire_watch wires_;
  cluster cluster_;
  std::uint64_t rounds_ = 0;
  std::vector<process*> clients_;
  fault_injector faults_;
};

}  // namespace

trial_result run_trial(const trial_options& options, bool tracing) { return trial{options, tracing}.run(); }

}  // namespace troupe::simulation
