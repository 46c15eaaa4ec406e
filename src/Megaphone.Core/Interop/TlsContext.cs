using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>An SSL_CTX: what sessions begin with. OpenSSL counts who uses it, so that it may go while sessions live on.</summary>
internal sealed class TlsContext : SafeHandle
{
    /// <summary>Makes an empty one for servers; it is invalid when OpenSSL gives none.</summary>
    public TlsContext()
        : base(0, ownsHandle: true) =>
        SetHandle(OpenSsl.NewContext(OpenSsl.ServerMethod()));

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        OpenSsl.FreeContext(handle);
        return true;
    }
}
