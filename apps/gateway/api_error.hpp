// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// What an error code means over HTTP.
struct error_status {
  int status = 500;
  std::string_view type = "server_error";
  int retry_after_s = 0;  ///< 0: trying again is of no use
};

/// The one table from error codes to HTTP. A code that is not in it is a server error.
error_status describe_error(std::string_view code);

/// An answer in OpenAI's error shape.
struct api_error {
  std::string code;       ///< of `describe_error`
  std::string message;    ///< what is wrong and what would be right
  std::string param;      ///< the field; empty: none
  int retry_after_s = 0;  ///< 0: as `describe_error` says
};

/// {"error": {"message", "type", "param", "code"}}
std::string to_json(const api_error& error);

}  // namespace troupe
