// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "topology/cluster_file.hpp"
#include "topology/cluster_view.hpp"
#include "topology/node_state.hpp"
#include "topology/placement.hpp"

namespace troupe {

struct membership_options {
  std::string version;
  /// Of new epochs. It was written down before, and no earlier topology actor used it. 0: none could be written yet.
  std::uint64_t generation = 0;
  model_shape shape{};                           ///< decides which smaller shapes are legal; no layers: none
  rank_need need{};                              ///< memory of a rank; empty: not looked at
  std::chrono::milliseconds lease{1000};         ///< what a node is granted, from the moment it asked
  std::chrono::milliseconds node_timeout{1500};  ///< a node not heard of for so long is gone
  std::chrono::milliseconds load_timeout{600'000};
  /// How long a new topology actor waits for the other ranks of a group that served before it, to let it serve on.
  std::chrono::milliseconds adoption_grace{2000};
  /// How long a rank that lost its peers is not enough to end an epoch: the peer's own end says why.
  std::chrono::milliseconds cause_wait{300};
  std::chrono::milliseconds spare_wait{2000};     ///< for a rank that is being started, before a spare stands in for it
  std::chrono::milliseconds shrink_wait{5000};    ///< for missing ranks, before a smaller shape is taken
  std::chrono::milliseconds grow_wait{5000};      ///< that the full shape must have been possible, before it is taken
  std::chrono::milliseconds drain_limit{30'000};  ///< then the requests of a draining group move
};

/// Decides who is in the cluster and which group may serve in which epoch, on which places. A plain state machine:
/// what nodes report goes in, the view to announce comes out; `now` is any steady clock.
///
/// An epoch's members are never used together with those of the next one: the next one begins when every member of
/// the old one is confirmed gone by its node, or when the last lease granted to that node is over for certain.
class membership {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  membership(cluster_file file, membership_options options, time_point now);

  /// Takes a node's report. Returns why the node is refused, or an empty string.
  std::string observe(const node_state& state, time_point now);

  /// Why a node that has reported is refused, as far as advance has found; empty when it is not.
  std::string refusal(const std::string& node) const;

  /// A node asks for its lease. True when it is granted.
  bool grant_lease(const std::string& node, std::uint64_t boot, time_point now);

  /// The connection to a node was lost: do not wait for its timeout.
  void lose(const std::string& node);

  /// Applies what has been observed and the passage of time. True when the view has changed.
  bool advance(time_point now);

  const cluster_view& view() const { return view_; }

  /// The generation that has to be written down before another epoch can begin; 0: none has to.
  std::uint64_t generation_wanted() const;
  /// It was written down.
  void use_generation(std::uint64_t generation, bool first);
  /// It could not be written down: groups that serve go on, and nothing re-forms.
  void miss_generation(std::string why) { view_.alarm = std::move(why); }

  /// Takes a node or group out of use, or back into it. Returns why not, or an empty string.
  std::string drain(const std::string& node_or_group, bool undo, time_point now);

  /// What operators have taken out of use and not taken back, nodes and groups by name.
  std::vector<std::string> drained() const;
  /// The same as an earlier topology actor knew it; what the file does not name is left out.
  void take_over_drains(const std::vector<std::string>& names);

  /// Goes over to another topology file, which find_change_error has nothing against. What is equal in both is not
  /// disturbed; a group that is not in the new one is drained first.
  void change(cluster_file file, time_point now);
  const cluster_file& file() const { return file_; }

 private:
  struct known_node {
    node_state state;
    time_point seen;
    std::string refusal;
  };
  struct ending {
    bool lost = false;
    bool hearsay = false;  ///< known only from a rank that lost its peers
    loss_cause cause = loss_cause::none;
    std::string message;
  };
  /// A member of an epoch that is over and may still run.
  struct leaving_member {
    group_member member;
    std::uint64_t epoch = 0;
    time_point lease_over;
  };
  /// A rank of an epoch that an earlier topology actor began.
  struct former_member {
    const known_node* node;
    const rank_state* rank;
  };
  struct group_record {
    group_spec spec;
    time_point since;  ///< of the present phase
    bool served = false;
    bool leaves = false;   ///< not in the file any more
    bool drained = false;  ///< by an operator
    bool waited = false;   ///< for the lease of a member that was not confirmed gone
    std::vector<leaving_member> old;
    std::optional<time_point> suspected{};    ///< since when a loss is known only from hearsay
    std::optional<time_point> full_since;     ///< a smaller group could have had its full shape for so long
    std::optional<time_point> drain_since{};  ///< no new requests are placed
    std::uint64_t drain_revision = 0;
  };

  // membership_nodes.cpp: who is there
  void refresh_nodes(time_point now);
  void refresh_places(node_view& node) const;
  const known_node* find_node(const std::string& name) const;
  const rank_state* find_rank(const std::string& node, const std::string& device) const;
  const rank_state* find_rank(const group_member& member) const { return find_rank(member.node, member.device); }
  time_point lease_over(const std::string& node) const;
  bool is_only_on(const std::string& node, const group_spec& spec) const;
  bool is_gone(const leaving_member& old, time_point now) const;
  heard_epoch heard_of(const std::string& group) const;
  std::uint64_t load_of(const std::string& group) const;
  bool all_have_seen(std::uint64_t revision) const;

  // membership.cpp: an epoch's life
  bool advance_groups(time_point now);
  void advance_group(group_view& view, group_record& record, time_point now);
  void gather(group_view& view, group_record& record, time_point now);
  void begin_epoch(group_view& view, group_record& record, const placement& chosen, time_point now);
  void start(group_view& view, group_record& record, time_point now);
  void finish_start(group_view& view, group_record& record, time_point now);
  void serve(group_view& view, group_record& record, time_point now);
  void end_epoch(group_view& view, group_record& record, ending why, time_point now);
  ending find_loss(const group_view& view) const;
  bool settles(const ending& why, group_record& record, time_point now) const;
  std::uint64_t next_epoch();

  // membership_placement.cpp: where its ranks go, and what a new topology actor finds
  placement_choice choose(const group_view& view, const group_record& record) const;
  place_offer offer_of(const rank_place& place, const group_view& group) const;
  std::string describe_missing(const placement& chosen) const;
  bool will_start(const placement& chosen) const;
  std::string unequal_memory(const placement& chosen) const;
  bool adopt(group_view& view, group_record& record, time_point now);
  std::vector<former_member> find_former(const std::string& group) const;
  bool is_whole(const std::vector<former_member>& found) const;
  bool may_run_unheard(const group_spec& spec, const std::vector<former_member>& found, time_point now) const;
  void take_up(group_view& view, group_record& record, const std::vector<former_member>& found, time_point now);
  bool await_old_members(group_view& view, group_record& record, time_point now);
  void grow(group_view& view, group_record& record, time_point now);

  // membership_drain.cpp: what operators want
  bool is_drained(const std::string& node) const { return drained_nodes_.count(node) > 0; }
  bool uses_drained_node(const group_view& view) const;
  bool another_serves(const group_view& view) const;
  bool drain_group(group_view& view, group_record& record, time_point now);
  std::string describe_drain(const std::string& node) const;
  bool has_left(const std::string& node) const;

  cluster_file file_;
  membership_options options_;
  time_point begun_;
  cluster_view view_;
  std::map<std::string, known_node> nodes_;
  std::map<std::string, time_point> granted_;  ///< when a node's lease was granted last
  std::map<std::string, group_record> groups_;
  std::set<std::string> drained_nodes_;
  std::set<std::uint64_t> former_;     ///< fingerprints of topology files that were in force before
  bool first_ = true;                  ///< no topology actor ran before this one, so nobody can hold a lease of one
  std::uint64_t lost_generation_ = 0;  ///< was used before a greater one was heard of
  std::uint64_t counter_ = 0;          ///< of epochs begun or ended in this generation
  std::uint64_t heard_ = 0;            ///< greatest epoch in any report
};

}  // namespace troupe
