// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/answer_stream.hpp"
#include "actors/protocol.hpp"
#include "runtime/trace/flight_recorder.hpp"

namespace troupe {

/// What the router must know of the model to judge a request.
struct model_facts {
  std::string name;
  std::int32_t vocabulary_size = 0;
  std::uint32_t context_tokens = 0;
};

struct router_options {
  std::string node;
  model_facts model;
  std::uint64_t first_request = 1;  ///< ids count up from here; unequal for every start of every router of a cluster
  std::size_t live_max = 4096;      ///< requests not ended; one more is refused
  std::chrono::milliseconds request_limit{600'000};   ///< from acceptance to the last token
  std::chrono::milliseconds stall_limit{60'000};      ///< without credit while something waits
  std::chrono::milliseconds text_timeout{30'000};     ///< for an answer of tokenizer or detokenizer
  std::chrono::milliseconds enqueue_timeout{10'000};  ///< for an answer of a group
  tracer trace{};
};

/// Owns every request from acceptance to its last token: the prompt's ids, the settings, the tokens so far. It asks a
/// tokenizer, picks a group, numbers the group's tokens by position, has them turned into text and gives them to the
/// client against credit. When a group's epoch ends, its requests are submitted again with the tokens they have.
class router {
 public:
  static inline const char* name = "router";

  router(router_actor::impl* self, std::vector<tokenizer_actor> tokenizers, detokenizer_actor detokenizer,
         router_options options);

  router_actor::behavior_type make_behavior();

 private:
  using time_point = caf::actor_clock::time_point;

  /// One request. `tokens` is the truth; everything else can be made again from it.
  struct record {
    generation_request request;  ///< tokens: the prompt, then the output
    std::uint64_t ticket = 0;
    answer_sink_actor sink;
    std::vector<std::string> stop_strings;
    bool include_stop = false;
    answer_stream stream;
    caf::typed_response_promise<accepted> acceptance;  ///< pending until a group has admitted it
    std::string group;                                 ///< empty: waits for a group
    troupe::epoch epoch;
    std::vector<answer_token> untold;  ///< tokens whose text is still with the detokenizer
    finish_reason ending = finish_reason::none;
    std::uint32_t cached_tokens = 0;
    int attempts = 0;  ///< of groups that were gone when it was given to them
    time_point deadline;
    time_point moved;      ///< when the client last took something
    bool resumes = false;  ///< has got no token since its group was lost
  };
  using record_map = std::map<request_id, record>;

  caf::result<accepted> on_submit(submit& message);
  void on_cancel(const cancel& message);
  void on_grant(const grant& message);
  void on_tokens(tokens_sampled& message);
  void on_groups(serving_groups& message);
  caf::result<void> on_drain();
  router_status on_status() const;

  caf::error find_fault(const submit& message) const;
  void on_tokenized(request_id id, tokenized& result);
  void place(record& entry);
  void on_enqueue_failed(request_id id, troupe::epoch at, const caf::error& reason);
  void on_admitted(request_id id);
  void apply(record& entry, request_update& update, std::vector<answer_piece>& pieces);
  void tell_text(std::vector<answer_piece> pieces);
  void on_text(text_decoded& message);
  void deliver(record_map::iterator entry);
  void refuse(record_map::iterator entry, const caf::error& reason);
  void fail(record_map::iterator entry, const caf::error& reason, finish_reason how = finish_reason::error);
  void abort_in_group(const record& entry);
  void forget(record_map::iterator entry);
  void tick();
  usage usage_of(const record& entry) const;
  void note(trace_hop hop, const record& entry, std::size_t count = 0, std::uint8_t code = 0) const;

  router_actor::impl* self_;
  std::vector<tokenizer_actor> tokenizers_;
  detokenizer_actor detokenizer_;
  router_options options_;
  record_map records_;                           ///< the requests that have not ended
  std::map<std::string, serving_group> groups_;  ///< that take requests now
  std::set<caf::actor_addr> watched_;            ///< sinks whose end cancels their requests
  std::uint64_t next_request_;
  std::vector<caf::typed_response_promise<void>> drained_;
  router_status status_;
};

using router_impl = caf::stateful_actor<router, router_actor::impl>;

}  // namespace troupe
