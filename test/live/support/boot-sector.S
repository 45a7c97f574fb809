// SPDX-License-Identifier: Apache-2.0
// A guest of one sector, for machines on which KVM runs no more than that. Counts in a 32-bit word at the start of each page
// of a window of memory, page after page, for ever; a byte on the second serial port has it go on to the next window. So
// at any time the counts of a window are, in the order of its pages, n+1 up to some page and n from there: a write that a
// migration lost shows. Windows: [1 MiB, 33 MiB) in four of 8 MiB.

    .set BEGIN, 0x100000
    .set END, 0x2100000
    .set WINDOW, 0x800000
    .set PAGE, 4096
    .set DATA, 0x2f8
    .set LINE_STATUS, 0x2fd

    .code16
    .globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl gdt_pointer
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $protected

    .code32
protected:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    // All pages once, so that none is zero.
    movl $BEGIN, %esi
fill:
    incl (%esi)
    addl $PAGE, %esi
    cmpl $END, %esi
    jb fill
    movl $BEGIN, %ebx
pass:
    movl %ebx, %esi
    leal WINDOW(%ebx), %edi
count:
    incl (%esi)
    addl $PAGE, %esi
    cmpl %edi, %esi
    jb count
    movw $LINE_STATUS, %dx
    inb %dx, %al
    testb $1, %al
    jz pass
    movw $DATA, %dx
    inb %dx, %al
    addl $WINDOW, %ebx
    cmpl $END, %ebx
    jb answer
    movl $BEGIN, %ebx
answer:
    movb $'N', %al
    outb %al, %dx
    jmp pass

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .org 510
    .word 0xaa55
