// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime/answer_progress.hpp"
#include "runtime/generation.hpp"
#include "runtime/request_key.hpp"
#include "runtime/retry_budget.hpp"

namespace troupe {

struct resumption_options {
  std::size_t doors = 1;                                ///< routers that can be asked, by index
  std::chrono::milliseconds deadline{600'000};          ///< of the request as a whole, unless it has its own
  std::chrono::milliseconds silence_limit{5'000};       ///< without a piece; then the same router is asked again
  std::chrono::milliseconds answer_limit{60'000};       ///< for a router to accept; then the next one is asked
  std::chrono::milliseconds unreachable_limit{15'000};  ///< without any router that answers; then it has failed
  std::chrono::milliseconds pause_min{50};              ///< after all doors have failed once; doubled each time
  std::chrono::milliseconds pause_max{1'000};
};

/// What one client does so that its request ends with every token once, or with one error: what to ask whom, which
/// pieces are new, when to give up. Knows no actor and no socket; `now` is any steady clock.
class resumption {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  struct submission {
    std::size_t door = 0;
    generation what;
    request_key key;
    std::vector<token_id> tokens;  ///< held already
    std::uint64_t text_bytes = 0;  ///< held already
    bool accepted = false;         ///< by some router, before
  };
  struct rest {
    time_point until;
  };
  struct failure {
    std::string code;
    std::string sentence;
    std::chrono::milliseconds retry_after{0};  ///< 0: not said
  };
  using step = std::variant<rest, submission, failure>;

  /// `key` is not none. `tokens` and `text_bytes` are held from an earlier life, in which it was `accepted`.
  resumption(generation what, request_key key, resumption_options options, time_point now,
             std::vector<token_id> tokens = {}, std::uint64_t text_bytes = 0, bool accepted = false);

  /// What is to be done now. A submission or a failure is given once; after a failure nothing more is to be done.
  step next(time_point now);

  /// The submission given last, once more: it could not be sent at once. Nothing when it is not wanted any more.
  std::optional<submission> ask_again(time_point now);

  /// The router asked last has taken the request.
  void accept(time_point now);
  /// It has not, or gave the request up; `code` is a name of actors/errors.hpp.
  void refuse(const std::string& code, const std::string& sentence, std::chrono::milliseconds retry_after,
              retry_budget& budget, time_point now);
  /// It is gone, cannot be reached, or does not answer.
  void lose(const std::string& sentence, time_point now);

  /// What is new in a piece for the client. Nothing: the piece was had, or does not follow (then the router is asked
  /// again), or tells of a loss that is not the client's business.
  std::optional<answer_event> take(answer_event piece, retry_budget& budget, time_point now);

  /// The client has all it will get.
  bool ended() const { return phase_ == phase::ended; }
  bool accepted() const { return accepted_; }
  std::size_t door() const { return door_; }
  const request_key& key() const { return key_; }
  const std::vector<token_id>& tokens() const { return tokens_; }

 private:
  enum class phase { due, asking, running, failing, ended };

  submission make_submission(time_point now) const;
  void ask_at(time_point when);
  void turn_to_next_door(time_point now);
  void fail(std::string code, std::string sentence, std::chrono::milliseconds retry_after = {});
  bool keeps_promise(const answer_event& piece) const;

  generation what_;
  request_key key_;
  resumption_options options_;
  time_point deadline_;
  answer_progress had_;
  std::vector<token_id> tokens_;
  phase phase_ = phase::due;
  std::size_t door_ = 0;
  time_point due_;
  time_point heard_;                      ///< asked, accepted, or a piece
  std::optional<time_point> lost_since_;  ///< no router has answered since
  std::size_t failures_ = 0;              ///< doors tried in vain, one after the other
  std::size_t given_up_ = 0;              ///< routers that said that nothing will serve again
  bool accepted_ = false;                 ///< by some router, once
  failure failure_;
};

}  // namespace troupe
