// Tour: the steps of anatomy. Each step does one thing to the memory of a program and prints what happened.
#pragma once

#include <faultline/address_space.hpp>
#include <faultline/layout.hpp>
#include <faultline/pager.hpp>

#include <span>

namespace faultline::demo::anatomy {

/// Used by one thread. Pager, space and image must outlive it.
class Tour {
public:
    Tour(Pager& pager, AddressSpace& space, std::span<const ImageSegment> image) noexcept
        : pager_{pager}, space_{space}, image_{image} {}

    /// Accesses a page of text that is absent: it is read from the file.
    void fault_text_in();

    /// Raises the break, uses a page, and lowers the break again.
    void move_the_break();

    /// Writes to a page of data. The file keeps its old bytes.
    void write_data();

    /// Uses the stack further down.
    void grow_the_stack();

    /// Writes to text. The access is refused, and the program survives it.
    void write_text();

    /// Makes a clone at `place`, reads one of its pages, and then writes to that page.
    void write_to_a_clone(const ClonePlace& place);

    /// Calls a recursive function until it overflows its stack, which comes from a pool.
    void overflow_a_stack();

    /// Returns whether every step had the expected result.
    [[nodiscard]] bool as_expected() const noexcept { return as_expected_; }

private:
    [[nodiscard]] const ImageSegment* part(Access access) const noexcept;
    [[nodiscard]] std::byte* begin_of(const ImageSegment& part) const noexcept { return space_.image() + part.address; }
    void expect(bool holds, const char* what);

    Pager& pager_;
    AddressSpace& space_;
    std::span<const ImageSegment> image_;
    bool as_expected_ = true;
};

}  // namespace faultline::demo::anatomy
