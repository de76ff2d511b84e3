// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/gateway/api_error.hpp"
#include "apps/gateway/asio.hpp"
#include "apps/gateway/completion_service.hpp"
#include "apps/gateway/connection.hpp"
#include "apps/gateway/http_reply.hpp"
#include "apps/gateway/openai_reply.hpp"
#include "apps/gateway/openai_request.hpp"
#include "apps/gateway/reply_inbox.hpp"
#include "apps/gateway/stream_position.hpp"

namespace troupe {

/// Under which name a completion is asked for, and what its client has of it.
struct completion_name {
  stream_position from;     ///< no choices: from the beginning
  bool may_return = false;  ///< the client gave the name itself and can ask again
};

/// One completion from submission to last byte, for one client. Whatever way it ends, what was submitted and has not
/// finished is cancelled, or left for a client that may return.
class completion_exchange {
 public:
  completion_exchange(connection& client, completion_service& service, const gateway_limits& limits,
                      completion_request request, completion_name name, reply_context context, reply_style style);
  completion_exchange(const completion_exchange&) = delete;
  completion_exchange& operator=(const completion_exchange&) = delete;
  ~completion_exchange();

  struct outcome {
    bool keep_alive = false;  ///< the whole answer went out as HTTP wants it
    std::string ended;        ///< for the log: done, an error code, client-left or client-stalled
    usage used;
    std::uint64_t tokens = 0;  ///< of prompts and answers, those of answers that were broken off included
  };

  boost::asio::awaitable<outcome> run();

 private:
  void submit();
  /// Waits until something of the service is here. False: the client left, or the request's time is over.
  boost::asio::awaitable<bool> receive();
  void apply(reply_item item);
  void apply_event(std::size_t index, answer_event event);
  void stream_event(std::size_t index, const answer_event& event);
  void begin_stream();
  void end_stream();
  void fail(api_error error);
  void give_credit();
  outcome conclude(bool written) const;

  struct pending {
    completion_ticket ticket;
    bool accepted = false;
    bool finished = false;
    std::uint32_t taken = 0;  ///< events that are to be credited once the client has their bytes
  };

  connection& client_;
  completion_service& service_;
  const gateway_limits& limits_;
  const completion_request request_;
  const completion_name name_;
  const reply_context context_;
  reply_style style_;
  const connection::clock::time_point deadline_;
  std::shared_ptr<reply_inbox> inbox_;
  std::vector<pending> pending_;
  std::vector<reply_choice> choices_;
  stream_position sent_;  ///< what the client has with the last event
  std::uint64_t tokens_made_ = 0;
  std::size_t answer_bytes_ = 0;  ///< held for an answer that is not streamed
  bool streaming_ = false;        ///< the header of the stream was sent
  std::optional<api_error> error_;
};

}  // namespace troupe
