// A target for libFuzzer: read_samples() refuses any bytes with BadSamples, or returns samples whose stacks are inside
// the blocks that it returns.
#include "tool/stacks/samples_file.hpp"

#include <cstdint>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace faultline;
    try {
        std::uint64_t sum = 0;
        for (const tool::RecordedSession& session : tool::read_samples(std::span{data, size}, "input")) {
            for (const tool::RecordedSample& sample : session.samples) {
                for (const unsigned char byte : sample.stack) sum += byte;
            }
        }
        if (sum == ~std::uint64_t{0}) std::abort();  // so that the sum is computed
    } catch (const tool::BadSamples&) {
        return 0;
    }
    return 0;
}
