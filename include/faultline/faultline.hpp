// Includes faultline's whole C++ interface. Programs include it, or single headers; it declares nothing itself.
#pragma once

#include <faultline/language.hpp>

#include <faultline/access_violation.hpp>
#include <faultline/address_space.hpp>
#include <faultline/allocator.hpp>
#include <faultline/alternate_stack.hpp>
#include <faultline/config.hpp>
#include <faultline/guarded_stack.hpp>
#include <faultline/heap.hpp>
#include <faultline/io.hpp>
#include <faultline/latency_histogram.hpp>
#include <faultline/layout.hpp>
#include <faultline/literals.hpp>
#include <faultline/names.hpp>
#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/region.hpp>
#include <faultline/replacement_policy.hpp>
#include <faultline/segment_info.hpp>
#include <faultline/stats.hpp>
#include <faultline/store.hpp>
#include <faultline/types.hpp>
#include <faultline/version.hpp>
