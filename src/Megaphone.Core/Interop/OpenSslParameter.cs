using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>One OSSL_PARAM; an array of them ends with one that is all zero.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OpenSslParameter
{
    /// <summary>Its name, zero-terminated.</summary>
    public byte* Key;

    /// <summary><see cref="OpenSsl.ParameterUtf8"/> or <see cref="OpenSsl.ParameterOctets"/>.</summary>
    public uint Type;

    /// <summary>Its value.</summary>
    public void* Data;

    /// <summary>Bytes of the value.</summary>
    public nuint Size;

    /// <summary>Used by OpenSSL when values are read.</summary>
    public nuint ReturnSize;
}
