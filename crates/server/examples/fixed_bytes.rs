//! The limit that `make bench` holds reads against: a bare actix-web that answers every request with the
//! same bytes.
//!
//! Arguments: address, and how many bytes.

use actix_web::{App, HttpResponse, HttpServer, web};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("an address is missing")?;
    let size: usize = arguments.next().ok_or("a size is missing")?.parse()?;
    let body = web::Bytes::from(vec![b'x'; size]);
    let app = move || {
        let body = body.clone();
        let answer = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new().default_service(web::to(answer))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
