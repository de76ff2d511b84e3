// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/protocol.hpp"
#include "actors/quarantine.hpp"
#include "actors/request_record.hpp"
#include "runtime/trace/flight_recorder.hpp"

namespace troupe {

/// What the router must know of the model to judge a request.
struct model_facts {
  std::string name;
  std::int32_t vocabulary_size = 0;
  std::uint32_t context_tokens = 0;
  std::vector<token_id> eos_ids{};
};

struct router_options {
  std::string node;
  model_facts model;
  std::uint64_t first_request = 1;  ///< ids count up from here; unequal for every start of every router of a cluster
  std::size_t live_max = 4096;      ///< requests not ended; one more is refused
  std::size_t ended_max = 1024;     ///< ended requests kept until they are acknowledged; the oldest goes first
  std::chrono::milliseconds request_limit{600'000};   ///< from acceptance to the last token
  std::chrono::milliseconds stall_limit{60'000};      ///< without credit while something waits
  std::chrono::milliseconds text_timeout{30'000};     ///< for an answer of tokenizer or detokenizer
  std::chrono::milliseconds enqueue_timeout{10'000};  ///< for an answer of a group
  std::chrono::milliseconds silence_limit{5'000};     ///< of a group about a request; then it is asked again
  std::chrono::milliseconds admission_limit{30'000};  ///< for a group to admit it; then it is refused
  std::chrono::milliseconds return_limit{10'000};     ///< for a client that may come back, after its loss
  std::chrono::milliseconds keep_ended{60'000};       ///< an ended request whose end nobody has acknowledged
  std::chrono::milliseconds verdict_limit{1'500};     ///< for the word why a group is gone, before its requests move
  tracer trace{};
};

/// Owns every request from acceptance to its last token: the prompt's ids, the settings, the tokens so far. It asks a
/// tokenizer, picks a group, numbers the group's tokens by position, has them turned into text and gives them to the
/// client against credit. When a group's epoch ends, its requests are submitted again with the tokens they have.
///
/// Exactly once: a request has one record for its key, whoever asks for it and how often; each token and byte has one
/// position; the end is kept until the client has acknowledged it. router.cpp is the client's side, router_answers.cpp
/// the way of tokens to text to the client, router_groups.cpp the groups' side with losses and suspects.
class router {
 public:
  static inline const char* name = "router";

  router(router_actor::impl* self, std::vector<tokenizer_actor> tokenizers, detokenizer_actor detokenizer,
         router_options options);

  router_actor::behavior_type make_behavior();

 private:
  using time_point = request_record::time_point;
  using record_map = std::map<request_id, request_record>;
  /// A group said that it would refuse whatever comes, of this priority or less.
  struct closing {
    time_point until;
    std::int32_t priority = 0;
    caf::error refusal;
  };

  caf::result<accepted> on_submit(submit& message);
  void on_cancel(const cancel& message);
  void on_grant(const grant& message);
  void on_acknowledge(const acknowledge& message);
  void on_tokens(tokens_sampled& message);
  caf::result<bool> on_trial(const trial& message);
  void on_groups(serving_groups& message);
  void on_text_actors(text_actors& message);
  caf::result<void> on_drain();
  router_status on_status() const;
  void on_sink_lost(const caf::actor_addr& sink);

  // router.cpp
  caf::error find_fault(const submit& message, std::uint64_t fingerprint) const;
  caf::result<accepted> attach(request_record& entry, submit& message, std::uint64_t fingerprint);
  void set_sink(request_record& entry, submit& message);
  void adopt(request_record& entry, const std::vector<token_id>& have);
  void revive(request_record& entry);
  void ask_tokenizer(request_id id, prompt words, int attempts);
  void on_tokenized(request_id id, tokenized& result);
  accepted acceptance_of(const request_record& entry) const;
  void tick();
  void check_limits(record_map::iterator entry, time_point now);
  std::size_t live() const { return records_.size() - ended_; }

  // router_groups.cpp
  void place(request_record& entry);
  void enqueue_at_leader(request_record& entry);
  void set_group(request_record& entry, const serving_group* group);
  void on_admitted(request_id placement);
  void on_enqueue_failed(request_id placement, const caf::error& reason);
  void try_elsewhere(request_record& entry, const caf::error& reason);
  const caf::error* closed(const std::string& group, std::int32_t priority) const;
  caf::error find_closed(std::int32_t priority) const;
  bool judge(request_record& entry, const std::set<troupe::epoch>& tried, time_point now);
  void abort_in_group(request_record& entry);
  request_record* find_placement(request_id placement);

  // router_answers.cpp
  void apply(request_record& entry, request_update& update, std::vector<answer_piece>& pieces);
  bool finish_if_complete(request_record& entry);
  void begin_text(request_record& entry);
  void tell_text(std::vector<answer_piece> pieces);
  void on_text(text_decoded& message);
  void on_piece(request_record& entry, decoded_piece& piece);
  void deliver(request_record& entry);
  void refuse(request_record& entry, const caf::error& reason);
  void fail(request_record& entry, const caf::error& reason, finish_reason how = finish_reason::error);
  void end(request_record& entry);
  void forget(request_id id);
  usage usage_of(const request_record& entry) const;

  router_actor::impl* self_;
  std::vector<tokenizer_actor> tokenizers_;
  detokenizer_actor detokenizer_;
  router_options options_;
  record_map records_;                           ///< not ended, or ended and not acknowledged
  std::size_t ended_ = 0;                        ///< records that have ended
  std::map<request_key, request_id> keys_;       ///< of the records whose client gave one
  std::map<request_id, request_id> placements_;  ///< records by the name they have in their group
  std::map<std::string, serving_group> groups_;  ///< that take requests now
  std::map<std::string, std::uint32_t> load_;    ///< requests in each group
  std::map<std::string, closing> closed_;        ///< groups that are not asked now
  std::map<std::string, fence> fences_;          ///< by group: no token of an epoch older than one seen is taken
  bool cut_off_ = false;                         ///< the node holds no lease
  bool out_of_use_ = false;                      ///< the node is being drained
  std::string why_not_;                          ///< no group serves, or none is to be asked here
  quarantine quarantine_;
  std::set<caf::actor_addr> watched_;  ///< sinks whose end matters; only looked up, never walked
  std::uint64_t next_request_;
  std::vector<caf::typed_response_promise<void>> drained_;
  router_status status_;
};

using router_impl = caf::stateful_actor<router, router_actor::impl>;

}  // namespace troupe
