using System.Net;
using Megaphone.Configuration;
using Megaphone.Links;
using Megaphone.Preflight;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Hosting;

/// <summary>Says of what cannot be started which key is to be changed, and how.</summary>
internal static class StartFailures
{
    /// <summary>Makes a role.</summary>
    /// <param name="make">Makes it.</param>
    /// <param name="tls">The TLS of its links, to name where what is wrong is configured.</param>
    /// <exception cref="StartFailedException">It cannot be made.</exception>
    public static T Make<T>(Func<T> make, LinkTlsOptions? tls)
    {
        try
        {
            return make();
        }
        catch (CertificateException error)
        {
            throw new StartFailedException($"{tls?.Section}: {error.Message}", error);
        }
        catch (IOException error)
        {
            throw new StartFailedException(error.Message, error);
        }
    }

    /// <summary>Starts a role.</summary>
    /// <param name="settings">What is configured.</param>
    /// <param name="start">Starts it.</param>
    /// <param name="section">Its section, with the colon.</param>
    /// <exception cref="StartFailedException">It cannot be started.</exception>
    public static void Listen(Settings settings, Action start, string section)
    {
        try
        {
            start();
        }
        catch (IOException error)
        {
            throw CannotListen(settings, error, section);
        }
        catch (CertificateException error)
        {
            throw new StartFailedException($"{section}Tls: {error.Message}", error);
        }
    }

    /// <summary>
    /// Finds out which of a section's addresses cannot be bound, and why, so that the message can name the key and the fix.
    /// </summary>
    public static StartFailedException CannotListen(Settings settings, Exception error, string section)
    {
        // Addresses that were bound before it are in use by this process.
        EndPoint? failed = (error as ListenException)?.EndPoint;
        foreach ((string key, EndPoint address) in settings.Listeners)
        {
            if (!key.StartsWith(section, StringComparison.Ordinal) || (failed is not null && !failed.Equals(address))) continue;
            if (BindProbe.Try(address) is { } obstacle)
                return new StartFailedException($"{key} \"{address}\": {obstacle.Reason}; {obstacle.Fix}", error);
        }

        // The address is free by now, or the problem is another one: report the role's own message.
        return new StartFailedException($"{section.TrimEnd(':')}: {error.Message}", error);
    }
}
