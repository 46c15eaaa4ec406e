using System.Runtime.InteropServices;

namespace Megaphone.Tls;

/// <summary>An SSL_CTX: what sessions begin with. OpenSSL counts who uses it, so that it may go while sessions live on.</summary>
internal sealed class TlsContext : SafeHandle
{
    /// <summary>Makes an empty one for servers.</summary>
    /// <exception cref="CertificateException">OpenSSL gives none.</exception>
    public TlsContext()
        : base(0, ownsHandle: true)
    {
        SetHandle(OpenSsl.NewContext(OpenSsl.ServerMethod()));
        if (IsInvalid) throw new CertificateException(["OpenSSL gives no context"]);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        OpenSsl.FreeContext(handle);
        return true;
    }
}
