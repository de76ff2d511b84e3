// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <caf/error.hpp>
#include <caf/is_error_code_enum.hpp>

namespace troupe {

/// Every way in which a request or a message can be refused or fail. The sentence that says what happened this time
/// travels as the error's context.
enum class errc : std::uint8_t {
  invalid_request = 1,      ///< a parameter is out of range or of the wrong kind
  context_length_exceeded,  ///< prompt and answer do not fit the model's context
  model_not_found,          ///< another model is served
  queue_full,               ///< admission queue at its bound; try again later
  not_ready,                ///< no group serves yet, or any more
  draining,                 ///< the node is being stopped and takes no new requests
  deadline_exceeded,        ///< the request's own deadline or the server's limit has passed
  cancelled,                ///< by the client
  client_too_slow,          ///< the client granted no credit for too long
  rank_lost,                ///< the group lost a rank and could not be re-formed in time
  engine_failed,            ///< the engine could not compute this
  stale_epoch,              ///< the message belongs to an epoch that is over
  unknown_request,          ///< no request of this id is alive here
  text_failed,              ///< the prompt could not be turned into tokens, or tokens into text
  incompatible,             ///< version, protocol, cluster or model differ between members
  overloaded,               ///< the time it would wait is beyond a bound; try again after the time that is given
  poison,                   ///< the request crashed a group twice, the second time alone
  superseded,               ///< the client took the answer up elsewhere
  inconsistent,             ///< a token that was delivered already came out differently
};

std::string to_string(errc x);
bool from_integer(std::uint8_t value, errc& x);

template <class Inspector>
bool inspect(Inspector& f, errc& x) {
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x](std::uint8_t value) { return from_integer(value, x); };
  return f.apply(get, set);
}

}  // namespace troupe

CAF_ERROR_CODE_ENUM(troupe::errc)

namespace troupe {

/// An error with its sentence.
caf::error make_failure(errc code, std::string sentence);

/// The sentence inside an error of any category, for people.
std::string describe(const caf::error& error);

/// An error that says when trying again may help, and for how long anything else would be refused, too.
caf::error make_overload(std::string sentence, std::chrono::milliseconds retry_after,
                         std::chrono::milliseconds closed_for = {});

/// After how long the same may succeed; 0: not said.
std::chrono::milliseconds retry_after(const caf::error& error);

/// For how long nothing else of the same priority need be tried; 0: not said.
std::chrono::milliseconds closed_for(const caf::error& error);

/// The code's name ("queue_full"), or "engine_failed" for an error that is not one of ours.
std::string code_name(const caf::error& error);

}  // namespace troupe
