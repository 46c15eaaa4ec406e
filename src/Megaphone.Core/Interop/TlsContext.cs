using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>An SSL_CTX, from which sessions are made. OpenSSL counts references, so that it may be released before its sessions.</summary>
internal sealed class TlsContext : SafeHandle
{
    /// <summary>Makes an empty context for servers; it is invalid when OpenSSL fails.</summary>
    public TlsContext()
        : this(OpenSsl.ServerMethod())
    {
    }

    /// <summary>Makes an empty context; it is invalid when OpenSSL fails.</summary>
    /// <param name="method">Which ends its sessions may be.</param>
    public TlsContext(nint method)
        : base(0, ownsHandle: true) =>
        SetHandle(OpenSsl.NewContext(method));

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        OpenSsl.FreeContext(handle);
        return true;
    }
}
