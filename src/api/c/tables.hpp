// Makes the C++ objects of the tables of functions that a C program gives: policies and stores. Included by the
// functions that read a faultline_config.
#pragma once

#include <faultline/c/policy.h>
#include <faultline/c/store.h>
#include <faultline/replacement_policy.hpp>
#include <faultline/store.hpp>

#include <memory>

namespace faultline::api {

/// Returns the function that makes the policy; an empty one for null. Copies the table. Throws std::system_error
/// (EINVAL, E2BIG) for a table without a function that it must have.
[[nodiscard]] PolicyFactory policy_of(const faultline_policy* table);

/// Returns the store; null for null. Copies the table. Throws std::system_error (EINVAL, E2BIG).
[[nodiscard]] std::shared_ptr<Store> store_of(const faultline_store* table);

}  // namespace faultline::api
