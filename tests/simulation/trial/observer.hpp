// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/protocol.hpp"
#include "runtime/generation.hpp"
#include "tests/simulation/trial/block_ledger.hpp"
#include "tests/simulation/trial/probes.hpp"
#include "tests/simulation/trial/trial_options.hpp"
#include "tests/simulation/world/timeline.hpp"

namespace troupe::simulation {

/// The first promise that was broken.
struct violation {
  std::string invariant;  ///< I1 to I15
  std::string sentence;
  instant when;
};

/// What a client knows of one of its requests.
struct request_view {
  std::uint64_t number = 0;  ///< unequal for all requests of a run
  std::size_t client = 0;
  std::vector<token_id> prompt;
  generation what;
  bool submitted = false;
  bool accepted = false;
  bool cancelled = false;
  bool lost = false;  ///< its client died, or gave up because its router was gone
  std::vector<answer_token> tokens;
  std::uint32_t terminals = 0;
  finish_reason finish = finish_reason::none;
  std::string error_code;
  instant since{};
  bool done() const { return terminals > 0 || lost; }
};

/// Hears of everything that happens, and knows what must never happen.
class observer {
 public:
  /// `kv_tokens`: what the KV blocks of a group hold.
  observer(timeline& time, std::uint64_t vocabulary, std::uint64_t kv_tokens, bool tracing)
      : time_(time), vocabulary_(vocabulary), kv_tokens_(kv_tokens), tracing_(tracing) {}

  // What is told.
  request_view& add_request(request_view view);
  void accepted(request_view& request);
  void refused(request_view& request, const std::string& code);
  void answered(request_view& request, const answer_event& event);
  /// In the order in which topology actors say it.
  void epoch_announced(const group_view& group, const std::string& by);
  /// A node's process has been told of a group's epoch.
  void node_told(std::uint32_t node, const group_view& group);
  void step_ran(const std::string& group, std::uint32_t rank, std::uint64_t loaded_epoch, const step_plan& plan);
  void tokens_arrived(const tokens_sampled& message);
  void trial_began(std::uint64_t epoch) { trials_.insert(epoch); }
  void fault_happened() { ++faults_; }
  void messages_may_be_late() { late_messages_ = true; }
  /// The router of a host was asked for an answer to that prompt.
  void asked_for(const std::vector<token_id>& prompt, const std::string& host);
  /// A poison request has crashed the group it was computed in.
  void poison_crashed(token_id marker, std::uint64_t epoch);
  /// The tokens that were computed are worth what was delivered (I15); `placed`: given to groups with all placements.
  void check_cost(std::uint64_t placed);
  void broken(std::string invariant, std::string sentence);

  // What is known.
  const std::optional<violation>& first_violation() const { return violation_; }
  std::deque<request_view>& requests() { return requests_; }
  const std::map<std::string, group_view>& groups() const { return groups_; }
  /// What is wrong with groups that nothing disturbs any more; empty when all serve, each in the last epoch that any
  /// living process was told of.
  std::string why_not_serving(const std::set<std::uint32_t>& living) const;
  probe_counts& probes() { return probes_; }

  // What happened, in words; kept only where somebody will read it.
  bool tracing() const { return tracing_; }
  void note(std::string line);
  const std::deque<std::string>& notes() const { return notes_; }

  /// A topology actor says for the first time that an epoch is over.
  std::function<void()> on_epoch_end;
  std::uint64_t tokens_delivered = 0;
  std::uint64_t tokens_computed = 0;  ///< by ranks 0

 private:
  void check_error(const request_view& request);
  void check_token(request_view& request, const answer_token& token);

  timeline& time_;
  std::uint64_t vocabulary_;
  std::uint64_t kv_tokens_;
  bool tracing_;
  std::deque<request_view> requests_;
  std::map<std::uint64_t, std::set<std::map<std::string, std::uint64_t>>> floors_;  ///< see check_token
  std::map<std::pair<std::string, std::uint64_t>, block_ledger> ledgers_;           ///< by group and epoch
  std::map<std::uint64_t, std::uint64_t> last_epoch_;                               ///< by request, where it is certain
  std::map<token_id, std::set<std::string>> asked_;                                 ///< hosts, by poison marker
  std::map<token_id, std::set<std::uint64_t>> crashes_;                             ///< epochs, by poison marker
  std::set<std::uint64_t> trials_;                                                  ///< epochs in which there was one
  std::uint64_t faults_ = 0;
  bool late_messages_ = false;
  std::uint64_t preemptions_ = 0;
  std::map<std::string, std::set<std::uint64_t>> epochs_;               ///< of each group, announced
  std::map<std::string, group_view> groups_;                            ///< newest view of each
  std::map<std::uint32_t, std::map<std::string, std::uint64_t>> told_;  ///< greatest epoch, by process and group
  std::optional<violation> violation_;
  probe_counts probes_;
  std::deque<std::string> notes_;
};

}  // namespace troupe::simulation
