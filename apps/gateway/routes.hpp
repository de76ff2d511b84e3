// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe {

/// From health on no key is needed.
enum class route_kind : std::uint8_t { unknown, chat, completions, models, health, live, metrics };

/// What a request's target means.
struct http_route {
  route_kind what = route_kind::unknown;
  std::string_view name;  ///< of /v1/models/NAME

  bool needs_key() const { return what < route_kind::health; }
  bool wants_body() const { return what == route_kind::chat || what == route_kind::completions; }
};

/// The query is not looked at.
http_route find_route(std::string_view target);

}  // namespace troupe
