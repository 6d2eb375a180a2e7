//! The first instructions: from 32-bit mode without paging to Rust in the upper half.
//!
//! Owns: the note that makes QEMU start the image here, a provisional mapping of the first
//! GiB, clearing what starts as zero. Leaves to others: the real page tables, which are made
//! in Rust (`paging`) a moment later.
//! Source: Xen, x86/HVM direct boot ABI; Intel SDM volume 3, section 10.8.5.

use core::arch::global_asm;

/// What is added to a physical address in the image to make it the address at which it runs.
/// The same number stands in `image.ld`.
const BASE: u64 = norma_kernel::arch::layout::IMAGE;

// On entry EBX holds the physical address of the start information; there is no stack.
global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4                         // bytes of the name
    .long 8                         // bytes of the value
    .long 18                        // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad norma_entry - {base}

    .section .boot.text, "ax", @progbits
    .code32
    .globl norma_entry
norma_entry:
    cli
    cld
    xorl %eax, %eax
    movl $(__bss_start - {base}), %edi
    movl $(__bss_end - {base}), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    rep stosl

    // 512 large pages map the first GiB; the same table serves for three places.
    movl $(provisional_pd - {base}), %edi
    movl $0x83, %eax                // present, writable, large
    movl $512, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    movl $(provisional_pd - {base} + 3), %eax
    movl %eax, provisional_low - {base}
    movl %eax, provisional_high - {base} + 510 * 8
    movl $(provisional_low - {base} + 3), %eax
    movl %eax, provisional_top - {base}
    movl %eax, provisional_top - {base} + 256 * 8
    movl $(provisional_high - {base} + 3), %eax
    movl %eax, provisional_top - {base} + 511 * 8

    movl $0xa0, %eax                // CR4: PAE, global pages
    movl %eax, %cr4
    movl $(provisional_top - {base}), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          // EFER: long mode, no-execute
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl $0x80010001, %eax          // CR0: paging, write protection, protection
    movl %eax, %cr0
    lgdt provisional_gdt_pointer - {base}
    ljmp $8, $(norma_entry64 - {base})

    .code64
norma_entry64:
    movabsq $2f, %rax
    jmpq *%rax
2:  xorl %eax, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    leaq __boot_stack_top(%rip), %rsp
    movl %ebx, %edi
    xorl %ebp, %ebp
    call norma_main
    ud2

    .section .rodata.boot, "a", @progbits
    .balign 8
provisional_gdt:
    .quad 0
    .quad 0x00af9a000000ffff        // 64-bit code
provisional_gdt_pointer:
    .word provisional_gdt_pointer - provisional_gdt - 1
    .long provisional_gdt - {base}

    .section .bss.boot, "aw", @nobits
    .balign 4096
provisional_top:
    .skip 4096
provisional_low:
    .skip 4096
provisional_high:
    .skip 4096
provisional_pd:
    .skip 4096
    "#,
    base = const BASE,
    options(att_syntax)
);
