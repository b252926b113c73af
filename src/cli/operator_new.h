#pragma once

namespace weir::cli {

// From now on allocations fail as soon as malloc(3) does, without the memory that is kept for that case (see
// operator_new.cpp): tests/integration/test_resource_failures.py sees so what a want of memory does everywhere. Before
// threads are started.
void use_no_spare_memory();

}  // namespace weir::cli
