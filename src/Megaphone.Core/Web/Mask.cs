using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Megaphone.Web;

/// <summary>Removes the mask of a client's payload: RFC 6455, section 5.3.</summary>
internal static class Mask
{
    /// <summary>Removes it where the bytes lie.</summary>
    /// <param name="bytes">Payload.</param>
    /// <param name="mask">The key, the byte for the first of them lowest.</param>
    /// <returns>The key for what follows.</returns>
    public static uint Remove(Span<byte> bytes, uint mask)
    {
        ref byte start = ref MemoryMarshal.GetReference(bytes);
        Vector256<byte> wide = Vector256.Create(mask).AsByte();
        int at = 0;
        for (; at <= bytes.Length - Vector256<byte>.Count; at += Vector256<byte>.Count)
            (Vector256.LoadUnsafe(ref start, (nuint)at) ^ wide).StoreUnsafe(ref start, (nuint)at);
        for (; at < bytes.Length; at++) bytes[at] ^= (byte)(mask >> (8 * (at & 3)));
        return BitOperations.RotateRight(mask, 8 * (bytes.Length & 3));
    }
}
